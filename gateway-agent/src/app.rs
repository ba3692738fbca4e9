//! The gateway as a whole: bind, then serve. Binding takes the directory, the ports and the pack that
//! is there, and says what is wrong before anything is served; serving goes on until told to stop.

mod door;
pub mod gateway;
mod metrics_port;
mod problems;
pub mod run;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleet_core::offer::{NackReason, Stage};
use instance::{Action, History, HistoryRecord};
use policy_config::ConfigDigest;
use service_kit::clock::Clock;
use service_kit::drain::{self, DrainTrigger, DrainWatcher, Hangups};
use service_kit::readiness::Readiness;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::activation::handle::{ActivatorHandle, Asked, LocalChange, OrderError};
use crate::activation::ledger::{Ledger, Owner};
use crate::activation::live::LivePolicy;
use crate::activation::local_source::{self, LocalSourceError};
use crate::activation::secrets::SecretRules;
use crate::activation::{Activator, Parts};
use crate::admin::{Admin, Door};
use crate::control::identity::{IdentityError, IdentityStore};
use crate::control::link::{Link, NotTakenIn};
use crate::decisions::DecisionLog;
use crate::holding::{self, Holding, HoldingError};
use crate::proxy::{BoundProxy, Proxy, ProxyError, ProxySettings};
use crate::settings::{Settings, Source};
use metrics_port::MetricsPort;
use problems::{bind_problem, located};

/// Where the gateway really listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub data: SocketAddr,
    pub metrics: Option<SocketAddr>,
}

/// A gateway that holds all it needs and does not serve yet.
pub struct Bound {
    addresses: Addresses,
    /// Held to the end: another gateway may not take the directory before this one is gone.
    instance: Holding,
    listener: BoundProxy,
    proxy: Arc<Proxy>,
    door: (Arc<Admin>, Option<Door>),
    metrics_port: Option<MetricsPort>,
    readiness: Readiness,
    live: LivePolicy,
    handle: ActivatorHandle,
    activator: JoinHandle<()>,
    link: Option<Link>,
    policy_file: Option<PathBuf>,
    hangups: Hangups,
    trigger: DrainTrigger,
    drain: DrainWatcher,
    drain_deadline: Duration,
}

/// Why a gateway does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Holding(#[from] HoldingError),
    #[error(transparent)]
    PolicyFile(#[from] LocalSourceError),
    #[error("{}", located(path, reason))]
    Refused { path: PathBuf, reason: NackReason },
    #[error("{flag} {address}: {}", bind_problem(error))]
    Bind { flag: &'static str, address: SocketAddr, error: io::Error },
    #[error("decision events cannot be written to `{}`: {error}; name another file with --decision-log", path.display())]
    DecisionLog { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    NotTakenIn(#[from] NotTakenIn),
    #[error("a part of the gateway ended by itself: {0}")]
    Defect(&'static str),
}

/// Takes everything a gateway needs; port 0 picks a free one.
///
/// # Errors
/// The first thing that is not there, not allowed, or taken. A bad policy file is one only where
/// there is no pack on disk to serve instead.
pub async fn bind(settings: Settings, clock: Clock) -> Result<Bound, AppError> {
    let dir = settings.instance_dir();
    // Before anything is created, so that a typing error leaves no trace.
    let policy_source = match &settings.source {
        Source::File(path) => Some(local_source::read(path)?),
        Source::ControlPlane(source) => {
            if !dir.join("credential.json").exists() {
                source.operator_token.check_named()?;
            }
            None
        }
    };
    let instance = Holding::take(settings.place())?;
    let hangups = drain::hangups();
    let (trigger, drain) = drain::channel();
    let readiness = Readiness::new();
    let metrics_port = match settings.metrics_listen {
        Some(address) => {
            Some(MetricsPort::bind(address, readiness.clone()).await.map_err(|error| AppError::Bind {
                flag: "--metrics-listen",
                address,
                error,
            })?)
        }
        None => None,
    };
    let listener = BoundProxy::bind(settings.listen).await.map_err(|error| AppError::Bind {
        flag: "--listen",
        address: settings.listen,
        error,
    })?;
    let addresses =
        Addresses { data: listener.address(), metrics: metrics_port.as_ref().map(MetricsPort::address) };

    let live = LivePolicy::empty();
    let log = settings.decision_log.clone().unwrap_or_else(|| instance.dir().join("logs/decisions.jsonl"));
    let decisions = DecisionLog::open(&log, &drain)
        .map_err(|error| AppError::DecisionLog { path: log.clone(), error })?;
    let proxy_settings = ProxySettings {
        instance: settings.name.to_string(),
        max_body: settings.max_body,
        ..ProxySettings::default()
    };
    let proxy = Proxy::new(proxy_settings, live.clone(), readiness.clone(), decisions, clock.clone())?;
    // From here on a pack runs, and an end that nobody asked for counts against it: what may refuse came before.
    let (activator, handle) = Activator::start(Parts {
        live: live.clone(),
        ledger: Arc::new(Ledger::new(instance.dir(), owner(&settings))),
        history: History::of(instance.place()),
        secrets: SecretRules {
            env_file: settings.env_file.clone(),
            environment: settings.environment.clone(),
            globs: settings.secret_globs.clone(),
            dir: instance.place().secrets(),
        },
        readiness: readiness.clone(),
        clock: clock.clone(),
        proving_time: settings.proving_time,
    })
    .await;
    let activator = drain.spawn("activator", activator.run(drain.clone()));

    let policy_file = match (&settings.source, policy_source) {
        (Source::File(path), Some(source)) => {
            apply_first(path, source, &handle, &live).await?;
            Some(path.clone())
        }
        (Source::File(_) | Source::ControlPlane(_), _) => None,
    };
    let (admin, door) = door::open(&settings, &instance, addresses.data, &live, &handle, &readiness, &clock);
    let link = link(&settings, &instance, &handle, &clock, &drain);
    if let Err(error) = instance.describe(&settings, addresses.data) {
        // Tools of this host will not find it; its clients will, and a full disk is no reason to send them away.
        tracing::warn!(dir = %instance.dir().display(), %error, "instance.json cannot be written");
    }
    Ok(Bound {
        addresses,
        instance,
        listener,
        proxy: Arc::new(proxy.with_admin(Arc::clone(&admin))),
        door: (admin, door),
        metrics_port,
        readiness,
        live,
        handle,
        activator,
        link,
        policy_file,
        hangups,
        trigger,
        drain,
        drain_deadline: settings.drain_deadline,
    })
}

// === impl Bound ===

impl Bound {
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `stop`; then no new request is taken, and those in flight get their last byte
    /// (at most for the drain deadline).
    ///
    /// # Errors
    /// It ended without being told to.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let Self { instance, trigger, drain, mut activator, drain_deadline, .. } = self;
        let mut data_plane = drain.spawn("data plane", self.listener.serve(self.proxy, drain.clone()));
        if let (admin, Some(door)) = self.door {
            let (hand_overs, _) = mpsc::channel(1);
            drain.spawn("admin door", door.serve(admin, hand_overs, drain.clone()));
        }
        if let Some(port) = self.metrics_port {
            port.spawn(self.live.clone(), &drain);
        }
        let reloads = reload_on_hangup(self.hangups, self.policy_file, self.handle, self.live, drain.clone());
        drain.spawn("policy file", reloads);
        let managed = self.link.is_some();
        let link = self.link.map(|link| drain.spawn("control link", link.run()));
        let link_ended = async {
            match link {
                Some(link) => link.await,
                None => std::future::pending().await,
            }
        };
        tracing::info!(listen = %self.addresses.data, managed, ready = self.readiness.is_ready(), "serving");

        let outcome = tokio::select! {
            () = stop => Ok(()),
            ended = link_ended => match ended {
                Ok(Ok(())) => Err(AppError::Defect("control link")),
                Ok(Err(refused)) => Err(refused.into()),
                Err(_) => Err(AppError::Defect("control link")),
            },
            _ = &mut data_plane => Err(AppError::Defect("data plane")),
            _ = &mut activator => Err(AppError::Defect("activator")),
        };
        if outcome.is_err() {
            // Nobody asked for this end: it must not look like one that somebody did.
            activator.abort();
        }
        tracing::info!("draining: requests in flight finish, no new ones are taken");
        trigger.start();
        match trigger.drained(drain_deadline).await {
            Ok(()) => tracing::info!("stopped"),
            Err(busy) => tracing::warn!(%busy, "stopped before everything had finished"),
        }
        drop(instance);
        outcome
    }
}

// === impl AppError ===

impl AppError {
    /// Of the one table of exit codes.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Holding(HoldingError::InUse { .. }) => 6,
            Self::Holding(HoldingError::Unusable { .. }) => 1,
            Self::PolicyFile(LocalSourceError::Missing(_)) => 3,
            Self::PolicyFile(LocalSourceError::Forbidden(_)) => 4,
            Self::PolicyFile(LocalSourceError::Unreadable { .. }) => 2,
            Self::Refused { reason, .. } => match reason.stage {
                Stage::Verify | Stage::Lint => 2,
                Stage::Secrets | Stage::Compile | Stage::SelfTest | Stage::Storage => 1,
                Stage::Generation => 6,
            },
            Self::Bind { error, .. } => match error.kind() {
                io::ErrorKind::AddrInUse => 6,
                io::ErrorKind::PermissionDenied => 4,
                _ => 2,
            },
            Self::Identity(_) => 4,
            Self::NotTakenIn(refused) => refused.exit_code,
            Self::DecisionLog { .. } | Self::Proxy(_) | Self::Defect(_) => 1,
        }
    }
}

/// The file of the command line, over what the disk held. What it gets wrong ends the start only if
/// there is nothing to serve instead.
async fn apply_first(
    path: &Path,
    source: Vec<u8>,
    handle: &ActivatorHandle,
    live: &LivePolicy,
) -> Result<(), AppError> {
    let digest = ConfigDigest::of(&source);
    if handle.record().is_withdrawn(digest) {
        // A supervisor starts the same words again and again: that is no wish to try it once more.
        tracing::error!(path = %path.display(), %digest,
            "the policy file is withdrawn: somebody went back from it, or it crashed twice; change it, or send SIGHUP");
        return Ok(());
    }
    let asked = Asked::by(holding::user(), Action::Start);
    let outcome = handle.order(asked, LocalChange::Load(source)).await;
    let Err(error) = outcome else { return Ok(()) };
    let refused = not_loaded(path, error);
    match live.snapshot() {
        None => Err(refused),
        Some(policy) => {
            tracing::error!(
                version = %policy.version,
                digest = %policy.digest,
                "the policy file is refused, serving what is on disk"
            );
            for line in refused.to_string().lines() {
                tracing::error!("{line}");
            }
            Ok(())
        }
    }
}

async fn reload_on_hangup(
    mut hangups: Hangups,
    policy_file: Option<PathBuf>,
    handle: ActivatorHandle,
    live: LivePolicy,
    drain: DrainWatcher,
) {
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            () = hangups.recv() => {}
        }
        let Some(path) = &policy_file else {
            tracing::info!("SIGHUP: nothing to read again, packs come from the control plane");
            continue;
        };
        if let Err(error) = reload(path, &handle).await {
            let version = live.snapshot().map(|policy| policy.version.to_string());
            tracing::error!(version, "reload failed, the old policy serves on");
            for line in error.to_string().lines() {
                tracing::error!("{line}");
            }
        }
    }
}

/// Reads the policy file again and applies it through the same stages as ever.
async fn reload(path: &Path, handle: &ActivatorHandle) -> Result<HistoryRecord, AppError> {
    let source = local_source::read(path)?;
    let asked = Asked::by("SIGHUP", Action::Reload);
    handle.order(asked, LocalChange::Load(source)).await.map_err(|error| not_loaded(path, error))
}

fn not_loaded(path: &Path, error: OrderError) -> AppError {
    match error {
        OrderError::Refused(reason) => AppError::Refused { path: path.to_owned(), reason },
        OrderError::NothingToRevert | OrderError::Managed | OrderError::Stopping => {
            AppError::Defect("activator")
        }
    }
}

fn owner(settings: &Settings) -> Owner {
    Owner { instance: settings.name.to_string(), fleet: settings.fleet().map(ToString::to_string) }
}

fn link(
    settings: &Settings,
    instance: &Holding,
    handle: &ActivatorHandle,
    clock: &Clock,
    drain: &DrainWatcher,
) -> Option<Link> {
    let Source::ControlPlane(source) = &settings.source else { return None };
    let store =
        IdentityStore::new(instance.dir(), source.url.as_str(), source.fleet.clone(), settings.name.clone());
    Some(Link::new(
        source.clone(),
        store,
        settings.labels.clone(),
        handle.clone(),
        clock.clone(),
        drain.clone(),
    ))
}
