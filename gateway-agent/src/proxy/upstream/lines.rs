//! The kept connections to the providers: HTTP/1.1, or HTTP/2 where ALPN says so.
//!
//! An HTTP/1.1 connection has no task of its own. Whoever uses it drives it: the request that waits for the head, then
//! the body that is read. So a call costs no spawned task, no hand-over between tasks and no boxed future.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service;

use super::answer_body::AnswerBody;
use crate::proxy::resolver::ProviderResolver;
use crate::proxy::targets::{Operation, Transport};

/// How long a provider connection without a request is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Provider connections without a request that are kept, per host.
const MOST_IDLE: usize = 512;
/// A silent HTTP/2 provider connection is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(10);

type Body = Full<Bytes>;
type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;
type Shared = http2::SendRequest<Body>;
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// The connections to one host by one transport.
pub(super) struct Lines {
    /// What connections are made by; when no pack knows it any more, they end.
    transport: Weak<Transport>,
    host: Uri,
    connector: HttpsConnector<HttpConnector<ProviderResolver>>,
    deadline: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The newest last: it is used first, and the oldest have time to end.
    idle: Vec<(Line, Instant)>,
    shared: Option<Shared>,
}

/// One HTTP/1.1 connection, in the hands of whoever uses it.
pub(super) struct Line {
    sender: http1::SendRequest<Body>,
    /// `None` once it has ended.
    connection: Option<Pin<Box<http1::Connection<Socket, Body>>>>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("no connection")]
    Connect(#[source] BoxError),
    #[error("no answer")]
    Exchange(#[source] hyper::Error),
}

/// Name, TCP and TLS together took too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no connection in time")]
pub(super) struct ConnectTimedOut;

enum Connecting {
    Own(Line),
    Shared(Shared),
}

// === impl Lines ===

impl Lines {
    pub(super) fn to(transport: &Arc<Transport>, host: &Uri) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(ProviderResolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(transport.tls().clone())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        Self {
            transport: Arc::downgrade(transport),
            host: host.clone(),
            connector,
            deadline: transport.connect(),
            kept: Mutex::default(),
        }
    }

    pub(super) fn are_to(&self, transport: &Arc<Transport>, host: &Uri) -> bool {
        std::ptr::eq(self.transport.as_ptr(), Arc::as_ptr(transport))
            && self.host.authority() == host.authority()
            && self.host.scheme() == host.scheme()
    }

    pub(super) fn are_of_a_pack(&self) -> bool {
        self.transport.strong_count() > 0
    }

    /// The head of the answer, and the body that is still to come.
    ///
    /// A request that met a kept connection which the provider had closed is sent again, if nothing of it was sent.
    pub(super) async fn call(
        self: &Arc<Self>,
        operation: &Operation,
        mut request: Request<Body>,
    ) -> Result<Response<AnswerBody>, CallError> {
        loop {
            let (connecting, is_fresh) = match self.take().await {
                Some(kept) => (kept, false),
                None => (self.connect().await.map_err(CallError::Connect)?, true),
            };
            let answered = match connecting {
                Connecting::Own(mut line) => {
                    operation.write_to_path(&mut request);
                    let answered = line.ask(request).await;
                    answered.map(|response| response.map(|body| AnswerBody::new(body, Some((line, self)))))
                }
                Connecting::Shared(mut shared) => {
                    *request.uri_mut() = operation.uri.clone();
                    request.headers_mut().remove(HOST);
                    let answered = shared.try_send_request(request).await;
                    answered.map(|response| response.map(|body| AnswerBody::new(body, None)))
                }
            };
            match answered {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message().filter(|_| !is_fresh) {
                    Some(unsent) => {
                        request = unsent;
                        // A shared one may be closing, and not have closed; what is under way on it goes on.
                        self.kept().shared = None;
                    }
                    None => return Err(CallError::Exchange(error.into_error())),
                },
            }
        }
    }

    /// One that is kept and lives.
    async fn take(&self) -> Option<Connecting> {
        poll_fn(|context| {
            let mut kept = self.kept();
            kept.shared.take_if(|shared| shared.is_closed());
            if let Some(shared) = &kept.shared {
                return Poll::Ready(Some(Connecting::Shared(shared.clone())));
            }
            while let Some((mut line, _)) = kept.idle.pop() {
                if line.is_ready(context) {
                    return Poll::Ready(Some(Connecting::Own(line)));
                }
            }
            Poll::Ready(None)
        })
        .await
    }

    async fn connect(&self) -> Result<Connecting, BoxError> {
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await?;
        let connecting = tokio::time::timeout(self.deadline, connector.call(self.host.clone()));
        let socket = connecting.await.map_err(|_| ConnectTimedOut)??;
        if !is_http2(&socket) {
            let (sender, connection) = http1::handshake(socket).await?;
            return Ok(Connecting::Own(Line { sender, connection: Some(Box::pin(connection)) }));
        }
        let (shared, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .handshake(socket)
            .await?;
        TokioExecutor::new().execute(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a provider connection ended badly");
            }
        });
        let mut kept = self.kept();
        // Of several that were opened at the same time, one stays.
        let first = kept.shared.take().filter(|first| !first.is_closed());
        Ok(Connecting::Shared(kept.shared.insert(first.unwrap_or(shared)).clone()))
    }

    /// It is free: for the next request, if there will be one.
    pub(super) fn keep(&self, line: Line) {
        let mut kept = self.kept();
        if kept.idle.len() < MOST_IDLE {
            kept.idle.push((line, Instant::now()));
        }
    }

    /// Lets go of what rested too long and of what the provider has closed.
    pub(super) fn sweep(&self) {
        let mut kept = self.kept();
        kept.shared.take_if(|shared| shared.is_closed());
        let mut nobody = Context::from_waker(Waker::noop());
        kept.idle.retain_mut(|(line, since)| since.elapsed() < IDLE && line.is_ready(&mut nobody));
        if kept.idle.is_empty() {
            kept.idle = Vec::new();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that is done under the lock can leave it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Line ===

impl Line {
    /// Moves it on as far as it goes. What it has to say is heard by the request or the body it is about.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        let ended = self.connection.as_mut().is_some_and(|it| it.as_mut().poll(context).is_ready());
        if ended {
            self.connection = None;
        }
    }

    /// Whether it lives and would take a request.
    pub(super) fn is_ready(&mut self, context: &mut Context<'_>) -> bool {
        self.drive(context);
        self.connection.is_some() && self.sender.is_ready()
    }

    async fn ask(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        let mut answering = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|context| {
            if let Some(driven) = connection {
                if driven.as_mut().poll(context).is_pending() {
                    // The answer comes by the connection, and so never at another moment: who is woken twice is
                    // polled twice.
                    return answering.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
                *connection = None;
            }
            answering.as_mut().poll(context)
        })
        .await
    }
}

fn is_http2(socket: &Socket) -> bool {
    let connected: Connected = socket.connected();
    connected.is_negotiated_h2()
}
