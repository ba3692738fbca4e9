//! The gateway as a whole: bind, then serve. Binding takes the directory, the ports and the pack that
//! is there, and says what is wrong before anything is served; serving goes on until told to stop.
//!
//! What serves (the data plane and the live policy) lives as long as the process; what steers it ([`steering`]) may be
//! handed over to another process meanwhile, and taken back.

mod error;
mod first_pack;
pub mod gateway;
mod metrics_port;
pub(crate) mod policy_file;
mod records;
pub mod run;
mod serving;
mod status_file;
mod steering;
mod take_over;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use service_kit::clock::Clock;
use service_kit::drain::{self, DrainTrigger, DrainWatcher, Signal};
use service_kit::readiness::Readiness;
use tokio::sync::watch;

use crate::activation::live::LivePolicy;
use crate::decisions::DecisionLog;
use crate::holding::Holding;
use crate::proxy::{BoundProxy, Proxy, ProxySettings};
use crate::settings::Settings;
use first_pack::FirstPack;
use metrics_port::MetricsPort;
use records::Records;
use steering::{Parts, Steering, Waiting};
use take_over::Predecessor;

pub use error::AppError;
pub use take_over::TakeOverError;

/// How this process comes to be the gateway's; by default it is a `run` of its own.
#[derive(Debug, Default)]
pub struct Launch {
    /// Whoever started it watches over it and writes the records of its start and end.
    pub supervised: bool,
    /// Another process of this gateway serves, and is to hand over.
    pub take_over: bool,
    /// The socket to accept from, bound and listening; others may hold it too.
    pub listener: Option<TcpListener>,
}

/// Where the gateway really listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub data: SocketAddr,
    pub metrics: Option<SocketAddr>,
}

/// A gateway that holds all it needs and does not serve yet.
pub struct Bound {
    addresses: Addresses,
    listener: BoundProxy,
    proxy: Arc<Proxy>,
    live: LivePolicy,
    readiness: Readiness,
    steering: Steering,
    waiting: Waiting,
    predecessor: Option<Predecessor>,
    /// `None`: they are the supervisor's.
    records: Option<Records>,
    trigger: DrainTrigger,
    drain: DrainWatcher,
    drain_deadline: Duration,
}

/// What serves, whoever steers.
struct DataPlane {
    listener: BoundProxy,
    proxy: Proxy,
    live: LivePolicy,
    readiness: Readiness,
    trigger: DrainTrigger,
    drain: DrainWatcher,
}

/// Takes everything a gateway needs; port 0 picks a free one.
///
/// # Errors
/// The first thing that is not there, not allowed, or taken. A bad policy file is one only where
/// there is no pack on disk to serve instead.
pub async fn bind(settings: Settings, launch: Launch, clock: Clock) -> Result<Bound, AppError> {
    // Before anything is created, so that a typing error leaves no trace.
    let first = FirstPack::look(&settings)?;
    let records = (!launch.supervised).then(|| Records::of(&settings.place(), &clock));
    let bound = match launch.take_over {
        true => {
            // What may go wrong by itself goes wrong before anybody else is troubled.
            let plane = data_plane(&settings, launch.listener, &clock).await?;
            let (holding, predecessor) = take_over::take_over(&settings.place()).await?;
            let bound = steered(settings, plane, holding, first, launch.supervised, clock).await;
            bound.map(|(bound, first)| (Bound { predecessor, ..bound }, first))
        }
        false => {
            let holding = Holding::take(settings.place())?;
            match data_plane(&settings, launch.listener, &clock).await {
                Ok(plane) => steered(settings, plane, holding, first, launch.supervised, clock).await,
                Err(error) => Err(error),
            }
        }
    };
    match (bound, records) {
        (Ok((bound, first)), Some(records)) => {
            records.started(&bound.steering.handle().record(), first).await;
            Ok(Bound { records: Some(records), ..bound })
        }
        (Err(error), Some(records)) => {
            records.not_started(&error).await;
            Err(error)
        }
        (bound, None) => bound.map(|(bound, _)| bound),
    }
}

/// What a start would say of the settings, with nothing made.
///
/// # Errors
/// As [`bind`], as far as it can be known.
pub fn check(settings: &Settings) -> Result<(), AppError> {
    FirstPack::look(settings).map(drop)
}

async fn data_plane(
    settings: &Settings,
    inherited: Option<TcpListener>,
    clock: &Clock,
) -> Result<DataPlane, AppError> {
    let (trigger, drain) = drain::channel();
    let readiness = Readiness::new();
    if settings.metrics_listen.is_some() {
        // Handles that are made before it count nowhere.
        metrics_port::record();
    }
    let listener = match inherited {
        Some(listener) => BoundProxy::inherit(listener).map_err(AppError::Inherited)?,
        None => BoundProxy::bind(settings.listen).await.map_err(|error| AppError::Bind {
            flag: "--listen",
            address: settings.listen,
            error,
        })?,
    };
    let live = LivePolicy::empty();
    let log =
        settings.decision_log.clone().unwrap_or_else(|| settings.place().logs().join("decisions.jsonl"));
    let decisions = DecisionLog::open(&log, &drain)
        .map_err(|error| AppError::DecisionLog { path: log.clone(), error })?;
    let proxy_settings = ProxySettings {
        instance: settings.name.to_string(),
        max_body: settings.max_body,
        max_in_flight: settings.max_in_flight,
        max_connections: settings.max_connections,
        workers: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        ..ProxySettings::default()
    };
    let proxy = Proxy::new(proxy_settings, live.clone(), readiness.clone(), decisions, clock.clone())?;
    Ok(DataPlane { listener, proxy, live, readiness, trigger, drain })
}

/// Starts what the directory holds; answers how the first pack went, too.
async fn steered(
    settings: Settings,
    plane: DataPlane,
    holding: Holding,
    first: FirstPack,
    supervised: bool,
    clock: Clock,
) -> Result<(Bound, first_pack::Outcome), AppError> {
    // Heard from the first moment on: a SIGHUP to a gateway that starts must not end it.
    let hangups = drain::hangups();
    let metrics_port = steering::metrics_port(&settings, &plane.readiness).await.map_err(|error| {
        let address = settings.metrics_listen.unwrap_or(settings.listen);
        AppError::Bind { flag: "--metrics-listen", address, error }
    })?;
    let data = plane.listener.address();
    let addresses = Addresses { data, metrics: metrics_port.as_ref().map(MetricsPort::address) };
    let (connected, _) = watch::channel(false);
    let drain_deadline = settings.drain_deadline;
    let parts = Parts {
        settings: Arc::new(settings),
        clock,
        live: plane.live.clone(),
        readiness: plane.readiness.clone(),
        listen: data,
        connected,
        supervised,
    };
    let is_new = first_pack::is_new(holding.place());
    let (mut steering, waiting) = parts.take(holding, hangups, metrics_port, None).await;
    let first = match first.apply(&mut steering, &plane.live, is_new).await {
        Ok(first) => first,
        Err(error) => {
            // Whoever asks why it is down is told by the status file, for this process serves no door.
            status_file::once(steering.holding().place(), &steering.admin(), &plane.drain).await;
            // An end in order, for the pack that did not run.
            steering.end();
            steering.all_ended().await;
            steering.remove_door();
            return Err(error);
        }
    };
    if let Err(error) = steering.holding().describe(&steering.parts().settings, data) {
        // Tools of this host will not find it; its clients will, and a full disk is no reason to send them away.
        let dir = steering.holding().dir().display();
        tracing::warn!(%dir, %error, "instance.json cannot be written");
    }
    let DataPlane { listener, proxy, live, readiness, trigger, drain } = plane;
    let bound = Bound {
        addresses,
        listener,
        proxy: Arc::new(proxy.with_admin(steering.admin())),
        live,
        readiness,
        steering,
        waiting,
        predecessor: None,
        records: None,
        trigger,
        drain,
        drain_deadline,
    };
    Ok((bound, first))
}

// === impl Bound ===

impl Bound {
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `stop`; then no new request is taken, and those in flight get their last byte
    /// (at most for the drain deadline). Where another process has taken over, nobody waits for this one, and they
    /// have the time that the longest stream may take, or the drain deadline after `hurry`.
    ///
    /// # Errors
    /// It ended without being told to.
    pub async fn serve(
        self,
        stop: impl Future<Output = Option<Signal>>,
        hurry: impl Future<Output = ()>,
    ) -> Result<(), AppError> {
        serving::run(self, stop, hurry).await
    }
}

/// The listening socket that a supervisor left on stdin, and leaves to whoever asks first: nothing is there afterwards,
/// so that the socket is closed when the one that accepts from it closes.
///
/// # Errors
/// It is something else.
pub fn inherited_listener() -> Result<TcpListener, AppError> {
    use std::os::fd::AsFd;

    use nix::sys::socket::{getsockopt, sockopt};
    let listener = || {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let is_listening = getsockopt(&stdin, sockopt::AcceptConn).unwrap_or_default();
        let listener = TcpListener::from(stdin);
        // Of a unix socket it is none.
        listener.local_addr().map_err(|_| io::Error::other("it is no TCP socket"))?;
        if is_listening { Ok(listener) } else { Err(io::Error::other("it does not listen")) }
    };
    let listener = listener().map_err(AppError::Inherited)?;
    if let Ok(nothing) = std::fs::File::open("/dev/null") {
        // Where it cannot be let go of, whoever comes during a drain waits for its end.
        let _ = nix::unistd::dup2_stdin(nothing);
    }
    Ok(listener)
}
