//! Binds, accepts and serves connections until the drain.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use service_kit::drain::DrainWatcher;
use tokio::net::{TcpListener, TcpStream};

use crate::received::Received;
use crate::routes::Provider;

/// The way to a [`Bound`].
#[derive(Debug)]
pub struct FakeProvider;

/// A provider that has its port and does not serve yet.
#[derive(Debug)]
pub struct Bound {
    /// The address it really has; with port 0 asked for, the port it got.
    pub addr: SocketAddr,
    listener: TcpListener,
    received: Received,
    required_key: Option<String>,
}

const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(50);

// === impl FakeProvider ===

impl FakeProvider {
    pub async fn bind(addr: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok(Bound { addr, listener, received: Received::default(), required_key: None })
    }
}

// === impl Bound ===

impl Bound {
    /// Answer 401 to a call whose `authorization` is not `Bearer <key>`.
    #[must_use]
    pub fn require_key(mut self, key: impl Into<String>) -> Self {
        self.required_key = Some(key.into());
        self
    }

    /// What has been received; stays readable while it serves and after.
    pub fn received(&self) -> Received {
        self.received.clone()
    }

    /// Serves until the drain; answers that have begun are finished.
    pub async fn serve(self, drain: DrainWatcher) {
        let provider = Arc::new(Provider::new(self.received, self.required_key, drain.clone()));
        loop {
            let accepted = tokio::select! {
                () = drain.signaled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    drain.spawn(
                        "fake provider connection",
                        serve_connection(stream, provider.clone(), drain.clone()),
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "the fake provider cannot accept a connection");
                    tokio::time::sleep(PAUSE_AFTER_ACCEPT_ERROR).await;
                }
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, provider: Arc<Provider>, drain: DrainWatcher) {
    // chunks are small and must leave at their own pace
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY refused");
    }
    let service = service_fn(move |request| {
        let provider = provider.clone();
        async move { Ok::<_, Infallible>(provider.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.signaled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection to the fake provider ended early");
    }
}
