//! Connections: accepted until the drain begins, each its own counted task, none able to stop the rest.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use service_kit::drain::DrainWatcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::ending::{Ending, Step};
use super::patience::{Activity, Patience};
use super::spare::Spare;
use super::taking::{ClientStreams, Taking};
use super::workers::{NoWorker, Purpose, Workers};
use super::{Heir, Proxy, ProxyTimeouts};
use crate::decisions::DecisionSink;

/// Pause after a failed accept: the cause (no more descriptors) ends when a connection does. Where it does not within the
/// pause, those that wait are sent away.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Room above our own limits, so that our own answer (with its ids) is what a client meets first.
const HYPER_HEADERS: usize = 128;
const HYPER_HEAD_BYTES: usize = 64 * 1024;

/// Connections that are told at the same time that there are too many; any beyond are closed without a word.
const FAREWELLS: usize = 256;
/// How long one of them is listened to, and how much it may send, bytes.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: usize = 256 * 1024;
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
connection: close\r\ncontent-length: 122\r\n\r\n{\"error\":{\"type\":\"unavailable\",\"message\":\"this gateway has as \
many connections as it may; try again\",\"code\":\"overloaded\"}}";

/// Where connections come in: each gets a seat and a worker, or is told that there is none.
struct Door {
    proxy: Arc<Proxy>,
    workers: Workers,
    seats: Arc<Semaphore>,
    farewells: Arc<Semaphore>,
}

/// One client connection, as its requests see it.
pub(super) struct Connection {
    /// Who really connected, whatever the requests say.
    pub(super) peer: IpAddr,
    pub(super) activity: Activity,
    /// Of its reply, over HTTP/1.
    pub(super) taking: Taking,
    pub(super) decisions: DecisionSink,
    pub(super) drain: DrainWatcher,
}

/// Accepts until the drain begins, or no worker is left.
pub(super) async fn run(listener: TcpListener, proxy: Arc<Proxy>, heir: Heir, drain: DrainWatcher) {
    let workers = match Workers::start(&proxy, &heir, &drain) {
        Ok(workers) => workers,
        Err(error) => {
            tracing::error!(%error, "there are no threads to serve with");
            return;
        }
    };
    let door = Door::new(&proxy, workers);
    let (mut failing, mut spare) = (false, Spare::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.signaled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                if let Err(error) = door.admit(stream, peer) {
                    tracing::error!(%error, "connections cannot be served any more");
                    return;
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "connections cannot be accepted at the moment; trying on");
                } else if spare.turn_away(&listener, TOO_MANY).await {
                    door.proxy.metrics.connection_refused();
                    continue;
                }
                failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if heir.takes_the_backlog() {
        // Closing our hold of the socket resets nobody, and there nobody is sent away while being idle.
        return;
    }
    // Whoever is already in the backlog was told "connected": closing the listener would reset them. The kernel is asked
    // itself: the runtime says "none" as well where a task has had its share of work.
    let Ok(listener) = listener.into_std() else { return };
    loop {
        let accepted = listener.accept().and_then(|(stream, peer)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, peer))
        });
        match accepted {
            Ok((stream, peer)) => {
                if door.admit(stream, peer).is_err() {
                    return;
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            // None is left, or there are no descriptors for one.
            Err(_) => return,
        }
    }
}

// === impl Door ===

impl Door {
    fn new(proxy: &Arc<Proxy>, workers: Workers) -> Self {
        let seats = |number: usize| Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)));
        let (seats, farewells) = (seats(proxy.settings.max_connections), seats(FAREWELLS));
        Self { proxy: Arc::clone(proxy), workers, seats, farewells }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) -> Result<(), NoWorker> {
        let purpose = match Arc::clone(&self.seats).try_acquire_owned() {
            Ok(seat) => Purpose::Serve { seat },
            Err(_) => {
                self.proxy.metrics.connection_refused();
                match Arc::clone(&self.farewells).try_acquire_owned() {
                    Ok(seat) => Purpose::TurnAway { seat },
                    Err(_) => return Ok(()),
                }
            }
        };
        self.workers.hand(stream, peer.ip(), purpose)
    }
}

/// Tells a client that there are more connections than are served. What it sends is read for a moment, because a
/// connection that is closed with bytes unread is reset, and the answer with it.
pub(super) async fn turn_away(mut stream: TcpStream) {
    let telling = async {
        stream.write_all(TOO_MANY).await?;
        stream.shutdown().await?;
        let mut heard = [0; 4096];
        let mut left = FAREWELL_BYTES;
        while left > 0 {
            match stream.read(&mut heard).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    };
    // It is closed either way.
    let _ = tokio::time::timeout(FAREWELL, telling).await;
}

pub(super) async fn serve(stream: TcpStream, proxy: Arc<Proxy>, connection: Connection, heir: Heir) {
    let _counted = proxy.metrics.hold_connection();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let timeouts = &proxy.settings.timeouts;
    let mut ending = Ending::of(&connection, heir, timeouts);
    let builder = protocol(timeouts);
    let stream = Patience::new(stream, connection.activity.clone(), timeouts);
    let connection = Arc::new(connection);
    let service = service_fn(move |request: Request<Incoming>| {
        let proxy = Arc::clone(&proxy);
        let connection = Arc::clone(&connection);
        async move { Ok::<_, Infallible>(proxy.answer(request, &connection).await) }
    });
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = poll_fn(|context| {
        loop {
            if let Poll::Ready(result) = served.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            match ready!(ending.poll(context)) {
                Step::Leave => served.as_mut().graceful_shutdown(),
                Step::Cut => return Poll::Ready(None),
            }
        }
    })
    .await;
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(error = %error, "a client connection ended badly"),
        None => tracing::debug!(
            "a client connection is closed: its client takes nothing, or nothing of it is asked"
        ),
    }
}

/// HTTP/1.1, or HTTP/2 by prior knowledge; limits against the known ways to wear a server down.
fn protocol(timeouts: &ProxyTimeouts) -> Builder<ClientStreams> {
    let mut builder = Builder::new(ClientStreams { stall: timeouts.write_stall });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(HYPER_HEADERS)
        .max_buf_size(HYPER_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(256))
        .max_header_list_size(HYPER_HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// The peer was gone before it was accepted; nothing is wrong here.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
