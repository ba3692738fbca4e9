//! The door: where somebody on this host asks what runs, and orders another pack.
//!
//! One implementation ([`Admin`]) behind two ways in. The unix socket ([`Door`]) is open to the gateway's own user and to root,
//! by what the kernel says of the peer. The data port has the same routes for whoever passes the `guard`; for anybody else
//! they do not exist. It reads the file of a reload itself (`config_path`), and leaves every decision about packs to
//! the Activator; it must not know of traffic.

mod config_path;
mod errors;
mod guard;
pub mod handover;
mod order;
mod socket;
mod token;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts as Head;
use http::{Method, StatusCode, Uri};
use hyper::body::Incoming;
use instance::documents::{
    ErrorCode, Finding, LinkStatus, ReloadRequest, RevertRequest, Source, Status, UnpinRequest, routes,
};
use instance::place::user_name;
use instance::{Action, History, HistoryRecord, Outcome, Place};
use serde::Serialize;
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;
use service_kit::readiness::Readiness;
use tokio::sync::{Mutex, MutexGuard, RwLock, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::activation::handle::{ActivatorHandle, Asked, LocalChange};
use crate::activation::live::LivePolicy;
use crate::activation::status::{self, Facts};
use crate::history;
use config_path::WorkingDir;
use errors::Refusal;
use order::Order;
use token::AdminToken;

pub use socket::Door;

/// What the door of one gateway works on.
pub struct Parts {
    pub source: Source,
    /// Where traffic is served.
    pub listen: SocketAddr,
    /// What `config_path` is relative to.
    pub working_dir: PathBuf,
    pub live: LivePolicy,
    pub readiness: Readiness,
    pub clock: Clock,
    /// Of a managed gateway.
    pub link: Option<Link>,
}

/// The control link, as a status tells of it.
pub struct Link {
    pub url: String,
    pub fleet: String,
    pub connected: watch::Receiver<bool>,
}

/// Answers at both ways in.
pub struct Admin {
    name: String,
    parts: Parts,
    /// Of the Activator that decides now.
    handle: watch::Sender<ActivatorHandle>,
    working_dir: Arc<WorkingDir>,
    history: History,
    /// `None`: it cannot be made, and the data port has no door.
    token: Option<AdminToken>,
    /// One reload at a time reads its file and hands it on: what was read first is applied first.
    reloading: Mutex<()>,
    /// From the beginning of a hand-over until it is taken back.
    handing_over: AtomicBool,
    /// Shared by the orders that are being carried out.
    orders: RwLock<()>,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Status,
    Reload,
    Revert,
    Unpin,
    /// At the socket alone.
    HandOver,
}

/// Who asks, as the history will name it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller {
    User { uid: u32 },
    Token,
}

/// An answer, however it travels. JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) allow: Option<&'static str>,
    pub(crate) body: Bytes,
}

/// A disk that takes longer is answered for; the reload has not happened then.
pub(crate) const FILE_WITHIN: Duration = Duration::from_secs(10);
/// What a hand-over leaves to the orders that came before it.
const ORDERS_WITHIN: Duration = Duration::from_secs(5);

// === impl Admin ===

impl Admin {
    /// Finds or makes the token. Where it cannot be had the log says so, and the socket is the only way in.
    pub fn new(place: &Place, handle: ActivatorHandle, parts: Parts) -> Self {
        let path = place.admin_token();
        let token = AdminToken::at(&path)
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error,
                    "no admin.token: orders are taken at the unix socket only");
            })
            .ok();
        Self {
            name: place.name().to_owned(),
            handle: watch::Sender::new(handle),
            working_dir: Arc::new(WorkingDir::open(&parts.working_dir)),
            history: History::of(place),
            token,
            reloading: Mutex::new(()),
            handing_over: AtomicBool::new(false),
            orders: RwLock::new(()),
            parts,
        }
    }

    /// From now on another Activator decides: the one before had ended for a hand-over that came to nothing.
    pub fn follow(&self, handle: ActivatorHandle) {
        self.handle.send_replace(handle);
        self.keep();
    }

    /// From now on orders are for the new process. Waits for those that came before, so that each has its outcome here.
    pub async fn hand_over(&self) {
        self.handing_over.store(true, Ordering::SeqCst);
        if tokio::time::timeout(ORDERS_WITHIN, self.orders.write()).await.is_err() {
            tracing::warn!("an order takes long; the hand-over does not wait for it any more");
        }
    }

    /// Nothing is handed over any more.
    pub fn keep(&self) {
        self.handing_over.store(false, Ordering::SeqCst);
    }

    fn hands_over(&self) -> bool {
        self.handing_over.load(Ordering::SeqCst)
    }

    pub(crate) fn activator(&self) -> ActivatorHandle {
        self.handle.borrow().clone()
    }

    /// The route that a request at the data port asks for, if whoever sent it may know that it is there.
    pub(crate) fn admit(&self, peer: IpAddr, head: &Head) -> Option<Route> {
        let token = self.token.as_ref()?;
        guard::admits(token, peer, head)
            .then(|| Route::of(&head.uri))
            .flatten()
            .filter(|route| *route != Route::HandOver)
    }

    /// Never fails: every outcome is an answer. An order is carried out to its end, also when its sender hangs up.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        route: Route,
        method: &Method,
        body: Incoming,
        caller: Caller,
        drain: &DrainWatcher,
    ) -> Answer {
        self.serve(route, method, body, caller, drain).await.unwrap_or_else(Refusal::into_answer)
    }

    async fn serve(
        self: &Arc<Self>,
        route: Route,
        method: &Method,
        body: Incoming,
        caller: Caller,
        drain: &DrainWatcher,
    ) -> Result<Answer, Refusal> {
        if !route.allows(method) {
            return Err(Refusal::method(route.methods()));
        }
        if route == Route::Status {
            return Ok(Answer::ok(&self.status(drain)));
        }
        let order = Order::parse(route, &order::read(body).await?)?;
        let (admin, told) = (Arc::clone(self), drain.clone());
        let carried_out = drain.spawn("order", async move { admin.carry_out(order, caller, &told).await });
        carried_out.await.unwrap_or_else(|_| Err(Refusal::stopping()))
    }

    async fn carry_out(&self, order: Order, caller: Caller, drain: &DrainWatcher) -> Result<Answer, Refusal> {
        let _in_hand = self.orders.read().await;
        if self.hands_over() {
            return Err(Refusal::handing_over());
        }
        let outcome = self.change(order, caller, drain).await;
        outcome.map_err(|refusal| match refusal.is_stopping() && self.hands_over() {
            true => Refusal::handing_over(),
            false => refusal,
        })
    }

    async fn change(&self, order: Order, caller: Caller, drain: &DrainWatcher) -> Result<Answer, Refusal> {
        let actor = caller.name().await;
        match order {
            Order::Reload(ReloadRequest { config_path, break_glass, reason }) => {
                let asked = Asked { action: Action::Reload, actor, reason, break_glass };
                self.reload(asked, config_path).await.map(|record| Answer::ok(&record))
            }
            Order::Revert(RevertRequest { break_glass, reason }) => {
                let asked = Asked { action: Action::Revert, actor, reason, break_glass };
                self.may_change(&asked).await?;
                let record = self.activator().order(asked, LocalChange::Revert).await?;
                Ok(Answer::ok(&record))
            }
            Order::Unpin(UnpinRequest { reason }) => {
                // Not an action of the local history's; the log and the control plane tell of it.
                let asked = Asked { action: Action::Revert, actor, reason, break_glass: false };
                self.activator().unpin(asked).await?;
                Ok(Answer::ok(&self.status(drain)))
            }
        }
    }

    async fn reload(&self, asked: Asked, config_path: String) -> Result<HistoryRecord, Refusal> {
        self.may_change(&asked).await?;
        let turn = self.turn().await;
        let started = Instant::now();
        match self.read(config_path).await {
            Ok(source) => Ok(self.activator().order(asked, LocalChange::Load(source)).await?),
            Err(refusal) => {
                // Nothing was read: the next one need not wait for the history.
                drop(turn);
                let told = self.tell_failed(&asked, started, refusal.message()).await;
                Err(refusal.told(told))
            }
        }
    }

    /// Of a reload: to be held from the first byte that is read until they were all ordered.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.reloading.lock().await
    }

    /// A gateway has one source. A change of this host beside the control plane's is an emergency, and says why.
    async fn may_change(&self, asked: &Asked) -> Result<(), Refusal> {
        let says_why = asked.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
        if self.parts.source == Source::Local || asked.break_glass && says_why {
            return Ok(());
        }
        let refusal = Refusal::managed();
        let told = self.tell_failed(asked, Instant::now(), refusal.message()).await;
        Err(refusal.told(told))
    }

    async fn read(&self, config_path: String) -> Result<Vec<u8>, Refusal> {
        let dir = Arc::clone(&self.working_dir);
        let reading = tokio::task::spawn_blocking(move || dir.read(&config_path));
        match tokio::time::timeout(FILE_WITHIN, reading).await {
            Ok(Ok(read)) => Ok(read?),
            Ok(Err(_)) => Err(Refusal::stopping()),
            Err(_) => Err(Refusal::new(
                ErrorCode::FileUnreadable,
                format!("the file was not read within {} s; nothing was changed", FILE_WITHIN.as_secs()),
            )),
        }
    }

    /// The history of an order that never came to the Activator, which tells of all others.
    pub(crate) async fn tell_failed(
        &self,
        asked: &Asked,
        started: Instant,
        why: &str,
    ) -> Result<(), Finding> {
        let running = status::running(&self.activator().record());
        let record = HistoryRecord {
            id: Uuid::new_v4().to_string(),
            action: asked.action,
            at: self.parts.clock.now(),
            actor: asked.actor.clone(),
            outcome: Outcome::Failed,
            from: running.clone(),
            to: None,
            observed: running,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason: Some(why.to_owned()),
            stage: None,
            findings: Vec::new(),
        };
        tracing::warn!(actor = %asked.actor, action = ?asked.action, reason = why, "refused");
        history::tell(&self.history, vec![record]).await
    }

    /// What is told of the gateway now.
    pub(crate) fn status(&self, drain: &DrainWatcher) -> Status {
        let Parts { source, listen, readiness, live, link, .. } = &self.parts;
        let activator = self.activator();
        let runs = live.snapshot();
        let targets_down = runs.iter().flat_map(|runs| &runs.targets_down);
        let targets_down = targets_down.map(|(target, why)| Status::target_down(target, why));
        let facts = Facts {
            name: self.name.clone(),
            source: *source,
            pid: Some(std::process::id()),
            listen: Some(listen.to_string()),
            ready: readiness.is_ready() && !drain.is_draining() && runs.is_some(),
            link: link.as_ref().map(|link| LinkStatus {
                url: link.url.clone(),
                fleet: link.fleet.clone(),
                connected: *link.connected.borrow(),
            }),
            remarks: activator.remarks().iter().cloned().chain(targets_down).collect(),
            agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        };
        status::status(&activator.record(), facts)
    }
}

// === impl Route ===

impl Route {
    /// By the one spelling that a route has.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        match (uri.path(), uri.query()) {
            (routes::STATUS, None) => Some(Self::Status),
            (routes::RELOAD, None) => Some(Self::Reload),
            (routes::REVERT, None) => Some(Self::Revert),
            (routes::UNPIN, None) => Some(Self::Unpin),
            (routes::HAND_OVER, None) => Some(Self::HandOver),
            _ => None,
        }
    }

    const fn methods(self) -> &'static str {
        match self {
            Self::Status => "GET, HEAD",
            Self::Reload | Self::Revert | Self::Unpin | Self::HandOver => "POST",
        }
    }

    fn allows(self, method: &Method) -> bool {
        match self {
            Self::Status => method == Method::GET || method == Method::HEAD,
            Self::Reload | Self::Revert | Self::Unpin | Self::HandOver => method == Method::POST,
        }
    }
}

// === impl Caller ===

impl Caller {
    async fn name(self) -> String {
        match self {
            Self::Token => "admin.token".to_owned(),
            Self::User { uid } => tokio::task::spawn_blocking(move || user_name(uid))
                .await
                .unwrap_or_else(|_| format!("uid {uid}")),
        }
    }
}

// === impl Answer ===

impl Answer {
    fn ok(body: &impl Serialize) -> Self {
        // Strings and numbers: there is nothing in them that serde_json refuses.
        let body = Bytes::from(serde_json::to_vec(body).unwrap_or_default());
        Self { status: StatusCode::OK, allow: None, body }
    }
}

#[cfg(test)]
mod tests;
