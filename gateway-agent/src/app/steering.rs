//! What steers a gateway and can be handed over to another process, and taken back: the lock of the directory, the
//! ledger and its Activator, the control link, the door, SIGHUP, the metrics port and the status file.
//!
//! They end and begin together, under drains of their own; the data plane and the live policy outlive them, so that no
//! request notices.

mod copy;
mod sealed;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use instance::History;
use service_kit::clock::Clock;
use service_kit::drain::{self, DrainTrigger, DrainWatcher, Hangups};
use service_kit::readiness::Readiness;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::metrics_port::MetricsPort;
use super::{AppError, policy_file, status_file};
use crate::activation::handle::ActivatorHandle;
use crate::activation::ledger::{Ledger, Owner};
use crate::activation::live::LivePolicy;
use crate::activation::secrets::SecretRules;
use crate::activation::{self, Activator};
use crate::admin::handover::HandOver;
use crate::admin::{self, Admin, Door};
use crate::control::identity::IdentityStore;
use crate::control::link::{Link, NotTakenIn};
use crate::holding::Holding;
use crate::settings::{Settings, Source};

use copy::Copy;
pub(super) use sealed::Sealed;

/// What every steering of one process is made of.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) live: LivePolicy,
    pub(super) readiness: Readiness,
    /// Where the data plane listens.
    pub(super) listen: SocketAddr,
    /// Whether the control link is up.
    pub(super) connected: watch::Sender<bool>,
    /// Somebody else holds the listening socket too, so that another process may take over.
    pub(super) supervised: bool,
}

/// The present holder of the directory.
pub(super) struct Steering {
    parts: Parts,
    holding: Holding,
    handle: ActivatorHandle,
    activator: JoinHandle<()>,
    link: Option<JoinHandle<Result<(), NotTakenIn>>>,
    policy_file: Option<JoinHandle<Hangups>>,
    copy: Option<JoinHandle<Copy>>,
    /// Ends all of it but the door.
    trigger: DrainTrigger,
    drain: DrainWatcher,
    /// What the data port asks; it follows whoever steers.
    admin: Arc<Admin>,
    /// What newcomers wish.
    hand_overs: mpsc::Receiver<HandOver>,
    /// Ends the door, which says that orders are not taken when the others have ended.
    door: DrainTrigger,
}

/// What was bound and waits for the moment of serving.
pub(super) struct Waiting {
    pub(super) hangups: Hangups,
    pub(super) metrics_port: Option<MetricsPort>,
    door: Option<(Door, Option<mpsc::Sender<HandOver>>)>,
}

// === impl Parts ===

impl Parts {
    /// From here on a pack runs, and an end that nobody asked for counts against it: what may refuse came before.
    /// `admin`: what the data port asks already.
    pub(super) async fn take(
        self,
        holding: Holding,
        hangups: Hangups,
        metrics_port: Option<MetricsPort>,
        admin: Option<Arc<Admin>>,
    ) -> (Steering, Waiting) {
        let settings = &self.settings;
        let (trigger, drain) = drain::channel();
        let (activator, handle) = Activator::start(activation::Parts {
            live: self.live.clone(),
            ledger: Arc::new(self.ledger(&holding)),
            history: History::of(holding.place()),
            secrets: SecretRules {
                env_file: settings.env_file.clone(),
                environment: settings.environment.clone(),
                globs: settings.secret_globs.clone(),
                dir: holding.place().secrets(),
            },
            // What serves already does not become unready because somebody else begins to steer.
            readiness: match self.live.snapshot() {
                Some(_) => Readiness::new(),
                None => self.readiness.clone(),
            },
            clock: self.clock.clone(),
            proving_time: settings.proving_time,
        })
        .await;
        let activator = drain.spawn("activator", activator.run(drain.clone()));
        let admin = match admin {
            Some(admin) => {
                admin.follow(handle.clone());
                admin
            }
            None => Arc::new(Admin::new(holding.place(), handle.clone(), self.admin())),
        };
        let (asking, hand_overs) = mpsc::channel(1);
        let door = Door::bind(holding.place()).inspect_err(|error| {
            let path = holding.place().admin_socket();
            tracing::warn!(path = %path.display(), %error, "no admin socket: `kt gateway` cannot reach this gateway");
        });
        let asking = self.supervised.then_some(asking);
        let door = door.ok().map(|door| (door, asking));
        let waiting = Waiting { hangups, metrics_port, door };
        let (door, _) = drain::channel();
        let steering = Steering {
            parts: self,
            holding,
            handle,
            activator,
            link: None,
            policy_file: None,
            copy: None,
            trigger,
            drain,
            admin,
            hand_overs,
            door,
        };
        (steering, waiting)
    }

    fn admin(&self) -> admin::Parts {
        let settings = &self.settings;
        let link = match &settings.source {
            Source::ControlPlane(source) => Some(admin::Link {
                url: source.url.to_string(),
                fleet: source.fleet.to_string(),
                connected: self.connected.subscribe(),
            }),
            Source::File(_) | Source::Stored(_) => None,
        };
        admin::Parts {
            source: settings.source_word(),
            listen: self.listen,
            working_dir: settings.working_dir.clone(),
            live: self.live.clone(),
            readiness: self.readiness.clone(),
            clock: self.clock.clone(),
            link,
        }
    }

    pub(super) fn ledger(&self, holding: &Holding) -> Ledger {
        let settings = &self.settings;
        let fleet = settings.fleet().map(ToString::to_string);
        let installed = match &settings.source {
            Source::Stored(stored) => stored.installed,
            Source::File(_) | Source::ControlPlane(_) => None,
        };
        Ledger::new(holding.dir(), Owner { instance: settings.name.to_string(), fleet })
            .with_installed(installed)
    }
}

// === impl Steering ===

impl Steering {
    pub(super) fn holding(&self) -> &Holding {
        &self.holding
    }

    pub(super) fn handle(&self) -> &ActivatorHandle {
        &self.handle
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What the data port asks.
    pub(super) fn admin(&self) -> Arc<Admin> {
        Arc::clone(&self.admin)
    }

    /// What a status tells from now on beside what the start found.
    pub(super) fn remark(&mut self, remark: String) {
        self.handle = self.handle.with_remark(remark);
        self.admin.follow(self.handle.clone());
    }

    /// Begins to take orders and offers.
    pub(super) fn steer(&mut self, waiting: Waiting) {
        let Waiting { hangups, metrics_port, door } = waiting;
        if let Some((door, hand_overs)) = door {
            let (trigger, doorkeeper) = drain::channel();
            let serving = door.serve(self.admin(), hand_overs, doorkeeper.clone());
            doorkeeper.spawn("admin door", serving);
            self.door = trigger;
        }
        let (parts, drain) = (&self.parts, &self.drain);
        if let Some(port) = metrics_port {
            port.spawn(parts.live.clone(), drain);
        }
        let policy_file = parts.settings.policy_file().map(ToOwned::to_owned);
        let reloads = policy_file::reload_on_hangup(
            hangups,
            policy_file,
            self.admin(),
            parts.live.clone(),
            drain.clone(),
        );
        self.policy_file = Some(drain.spawn("policy file", reloads));
        let telling = status_file::run(
            self.holding.place().clone(),
            self.admin(),
            parts.clone(),
            self.handle.clone(),
            drain.clone(),
        );
        drain.spawn("status file", telling);
        let copying = copy::keep(self.handle.clone(), parts.ledger(&self.holding), drain.clone());
        self.copy = Some(drain.spawn("copy of the pack", copying));
        self.link = self.link().map(|link| drain.spawn("control link", link.run()));
    }

    /// The next newcomer's wish. May be dropped and awaited again.
    ///
    /// # Errors
    /// A part ended by itself, which none of them does.
    pub(super) async fn asked(&mut self) -> Result<HandOver, AppError> {
        let link = async {
            match &mut self.link {
                Some(link) => link.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(asked) = self.hand_overs.recv() => Ok(asked),
            ended = link => match ended {
                Ok(Err(refused)) => Err(refused.into()),
                Ok(Ok(())) | Err(_) => Err(AppError::Defect("control link")),
            },
            _ = &mut self.activator => Err(AppError::Defect("activator")),
        }
    }

    /// Nobody asked for this end: it must not look like one that somebody did.
    pub(super) fn fall(&self) {
        self.activator.abort();
    }

    /// Tells everything but the door to end; orders are refused from now on.
    pub(super) fn end(&self) {
        self.trigger.start();
    }

    /// The last thing that ends.
    pub(super) fn close_door(&self) {
        self.admin.keep();
        self.door.start();
    }

    /// Removes the door's name, which is this process's for as long as it holds the directory.
    pub(super) fn remove_door(&self) {
        instance::door::remove(&self.holding.place().admin_socket());
    }

    pub(super) fn drains(&self) -> [&DrainTrigger; 2] {
        [&self.trigger, &self.door]
    }

    fn link(&self) -> Option<Link> {
        let settings = &self.parts.settings;
        let Source::ControlPlane(source) = &settings.source else { return None };
        let store = IdentityStore::new(
            self.holding.dir(),
            source.url.as_str(),
            source.fleet.clone(),
            settings.name.clone(),
        );
        Some(Link::new(
            source.clone(),
            store,
            settings.labels.clone(),
            self.handle.clone(),
            self.parts.clock.clone(),
            self.drain.clone(),
            self.parts.connected.clone(),
        ))
    }
}

/// The metrics port of one steering; the one before has let go of it.
pub(super) async fn metrics_port(
    settings: &Settings,
    readiness: &Readiness,
) -> io::Result<Option<MetricsPort>> {
    match settings.metrics_listen {
        Some(address) => MetricsPort::bind(address, readiness.clone()).await.map(Some),
        None => Ok(None),
    }
}
