//! The data plane: what a gateway's clients talk to.
//!
//! A request takes its policy once ([`LivePolicy::snapshot`]) and keeps it to its last byte; the
//! input phase runs before the provider is called, the output phase after. This module owns the
//! listener and the connections; it never changes the live policy and knows nothing of the control plane.
//!
//! Reading order: `accept` (connections), `workers` (the threads that serve them), `ending` (when a connection is to
//! end), `request` (one request from head to reply), `relay` (one streamed response), `taking` (whether its client takes
//! it), `attempts` (one request over its targets), `targets` (what is known of each), `upstream` (the call to a
//! provider), `reply` (every status a client can meet).

mod accept;
mod alarm;
mod attempts;
mod body;
mod ending;
mod headers;
mod inspect;
mod limits;
mod lines;
mod meters;
mod models;
mod patience;
mod provider_answer;
mod record;
mod relay;
mod reply;
mod request;
mod resolver;
mod route;
mod serve;
mod spare;
mod surroundings;
mod taking;
mod targets;
mod trace;
mod upstream;
mod workers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;
use service_kit::readiness::Readiness;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::activation::live::LivePolicy;
use crate::admin::Admin;
use crate::decisions::DecisionLog;
use crate::metrics::ProxyMetrics;

pub(crate) use targets::Stations;

/// What the operator of one gateway decides about its data plane.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// Name of the instance, as `x-kt-instance` says it.
    pub instance: String,
    /// Largest request body, bytes (`--max-body`).
    pub max_body: usize,
    /// Memory for request bodies and whole responses over 64 KiB, bytes, all together; beyond it: 503 `overloaded`.
    pub body_budget: usize,
    /// Largest whole (not streamed) provider response, bytes.
    pub max_response: usize,
    /// Requests served at once; beyond it they are answered 503 `overloaded`.
    pub max_in_flight: usize,
    /// Open client connections; beyond it new ones are answered 503 and closed.
    pub max_connections: usize,
    /// Threads that serve, each with connections of its own; at least one.
    pub workers: usize,
    pub timeouts: ProxyTimeouts,
    /// Trusted beside the host's own certificate store, for providers behind a private CA.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// How long the data plane waits for whom.
#[derive(Debug, Clone)]
pub struct ProxyTimeouts {
    /// First byte of a request head to its last.
    pub header_read: Duration,
    /// A connection without a request.
    pub idle: Duration,
    /// A whole request body.
    pub body_read: Duration,
    /// A client that takes no byte of its response.
    pub write_stall: Duration,
    /// A streamed response as a whole; the target's own `idle_timeout` bounds each silence in it.
    pub stream_total: Duration,
    /// After drain began: how long an idle connection may still bring a request, which is answered
    /// with `connection: close`, before it is closed.
    pub drain_idle: Duration,
}

/// The data plane of one gateway. Each worker has one, with a provider client of its own; what they share is behind
/// pointers.
pub struct Proxy {
    settings: Arc<ProxySettings>,
    live: LivePolicy,
    readiness: Readiness,
    decisions: DecisionLog,
    clock: Clock,
    metrics: Arc<ProxyMetrics>,
    targets: Arc<targets::Targets>,
    upstream: upstream::Upstream,
    in_flight: Arc<Semaphore>,
    body_budget: body::BodyBudget,
    /// Of the engine over large bodies, as many as there are workers.
    turns: Arc<Semaphore>,
    meters: Arc<meters::GatewayMeters>,
    /// Answers what traffic does not know, to whoever may know that it is there.
    admin: Option<Arc<Admin>>,
}

/// A listener that is bound and does not serve yet.
pub struct BoundProxy {
    listener: TcpListener,
    address: SocketAddr,
    heir: Heir,
}

/// Whether another process accepts from the same socket. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Heir {
    there: Arc<watch::Sender<bool>>,
}

/// Why a data plane cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("the instance name `{0}` cannot be sent as the header `x-kt-instance`")]
    Instance(String),
    #[error("TLS for providers cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

// === impl ProxySettings ===

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            instance: "default".to_owned(),
            max_body: 16 * 1024 * 1024,
            body_budget: 512 * 1024 * 1024,
            max_response: 32 * 1024 * 1024,
            max_in_flight: 4096,
            max_connections: 16_384,
            workers: 2,
            timeouts: ProxyTimeouts::default(),
            extra_roots: Vec::new(),
        }
    }
}

impl Default for ProxyTimeouts {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_read: Duration::from_secs(30),
            write_stall: Duration::from_secs(60),
            stream_total: Duration::from_secs(3600),
            drain_idle: Duration::from_secs(1),
        }
    }
}

// === impl Proxy ===

impl Proxy {
    /// Reads the host's certificate store. Install the metrics recorder first.
    pub fn new(
        settings: ProxySettings,
        live: LivePolicy,
        readiness: Readiness,
        decisions: DecisionLog,
        clock: Clock,
    ) -> Result<Self, ProxyError> {
        if http::HeaderValue::from_str(&settings.instance).is_err() {
            return Err(ProxyError::Instance(settings.instance.escape_default().to_string()));
        }
        let targets = Arc::new(targets::Targets::new(&settings.extra_roots)?);
        let in_flight = Arc::new(Semaphore::new(settings.max_in_flight.min(Semaphore::MAX_PERMITS)));
        let body_budget = body::BodyBudget::new(settings.body_budget);
        let turns = Arc::new(Semaphore::new(settings.workers.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self {
            settings: Arc::new(settings),
            live,
            readiness,
            decisions,
            clock,
            metrics: Arc::new(ProxyMetrics::new()),
            targets,
            upstream: upstream::Upstream::default(),
            in_flight,
            body_budget,
            turns,
            meters: Arc::new(meters::GatewayMeters::new()),
            admin: None,
        })
    }

    /// The same data plane for another thread.
    fn of_worker(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            live: self.live.clone(),
            readiness: self.readiness.clone(),
            decisions: self.decisions.clone(),
            clock: self.clock.clone(),
            metrics: Arc::clone(&self.metrics),
            targets: Arc::clone(&self.targets),
            upstream: upstream::Upstream::default(),
            in_flight: Arc::clone(&self.in_flight),
            body_budget: self.body_budget.clone(),
            turns: Arc::clone(&self.turns),
            meters: Arc::clone(&self.meters),
            admin: self.admin.clone(),
        }
    }

    /// With the guarded routes of this gateway's door.
    pub fn with_admin(mut self, admin: Arc<Admin>) -> Self {
        self.admin = Some(admin);
        self
    }
}

// === impl BoundProxy ===

impl BoundProxy {
    /// Binds; port 0 picks a free one.
    pub async fn bind(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        Self::of(listener)
    }

    /// A socket that somebody else bound and may share with others.
    ///
    /// # Errors
    /// It is no socket that listens for TCP.
    pub fn inherit(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::of(TcpListener::from_std(listener)?)
    }

    fn of(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener, address, heir: Heir::default() })
    }

    /// To be told whether another process is there.
    pub fn heir(&self) -> Heir {
        self.heir.clone()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until the drain begins. Connections go on as tasks that `drain` counts until their
    /// last request has its last byte; how long that may take is the caller's deadline.
    pub async fn serve(self, proxy: Arc<Proxy>, drain: DrainWatcher) {
        accept::run(self.listener, proxy, self.heir, drain).await;
    }
}

// === impl Heir ===

impl Heir {
    /// While it is there, what waits in the socket's backlog when the drain begins is left to it, and this process may
    /// take its time.
    pub fn is_there(&self, there: bool) {
        self.there.send_replace(there);
    }

    fn takes_the_backlog(&self) -> bool {
        *self.there.borrow()
    }

    /// Until it is not there.
    async fn gone(&self) {
        // The sender is held here, so that waiting has no other end.
        let _ = self.there.subscribe().wait_for(|there| !there).await;
    }
}

#[cfg(test)]
mod tests;
