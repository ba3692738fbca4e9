//! What one caller may take, so that no caller takes it from another: failed credentials of an address, calls under
//! way and how often they begin, and turns at the database. What is decided is decided by pure tables.

mod calls;
mod failures;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Response;
use http::request::Parts;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tonic::body::Body;
use tonic::{Code, Status};

use super::call_error::CallError;
use super::connections::{Peer, Unread};
use super::rules::{Access, Rule};
use crate::credential::CredentialHash;
use crate::operations::Principal;
use calls::{Calls, Who};
use failures::{Failures, Look, Sha256};
use service_kit::bucket::{Bucket, Rate};

/// Messages of one stream of an agent: a heartbeat in seconds, a report an offer, each repeated in seconds.
pub(crate) const MESSAGES: Rate = Rate { burst: 200.0, per_second: 20.0 };
/// Lines in the log about credentials that are not valid: one a minute.
const TOLD: Rate = Rate { burst: 1.0, per_second: 1.0 / 60.0 };
/// Operators' calls that are worked on at once. The pool has 16 connections, and agents have lanes of their own
/// (`store::lane`): neither operators nor agents can hold all of them.
const TURNS: usize = 12;
/// How long a call waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// What all calls of this replica share.
#[derive(Debug)]
pub(crate) struct Limits {
    failures: Mutex<Failures>,
    calls: Mutex<Calls>,
    turns: Arc<Semaphore>,
    told: Mutex<Bucket>,
}

/// A credential about to be looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    from: IpAddr,
    credential: Sha256,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Call {
    seat: Seat,
    turn: Option<OwnedSemaphorePermit>,
    peer: Option<Peer>,
}

#[derive(Debug)]
struct Seat {
    limits: Arc<Limits>,
    who: Who,
    watch: bool,
}

// === impl Limits ===

impl Limits {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            failures: Mutex::new(Failures::new()),
            calls: Mutex::new(Calls::new(Instant::now())),
            turns: Arc::new(Semaphore::new(TURNS)),
            told: Mutex::new(Bucket::full(TOLD, Instant::now())),
        })
    }

    /// Whether the credential of a call may be looked up. `None`: there is none to look up.
    pub(crate) fn attempt(
        &self,
        rule: Option<Rule>,
        head: &Parts,
        credential: Option<CredentialHash>,
    ) -> Result<Option<Attempt>, CallError> {
        let needed = rule.is_none_or(|rule| rule.access != Access::Anyone);
        let Some(credential) = credential.filter(|_| needed) else { return Ok(None) };
        let credential = *credential.as_bytes();
        let from = peer(head).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address());
        match self.failures().look(from, credential, Instant::now()) {
            Look::Up => Ok(Some(Attempt { from, credential })),
            Look::KnownBad => Err(counted("known_bad_credential", CallError::WrongCredential)),
            Look::TooOften(wait) => Err(counted("failed_credentials", CallError::TooManyFailures(wait))),
        }
    }

    /// How the attempt ended.
    pub(crate) fn judged(&self, attempt: Option<Attempt>, admitted: &Result<Option<Principal>, Status>) {
        let Some(Attempt { from, credential }) = attempt else { return };
        let mut failures = self.failures();
        match admitted.as_ref().map_err(Status::code) {
            // What is refused to a known caller is no failed credential.
            Ok(_) | Err(Code::PermissionDenied | Code::Unimplemented) => failures.succeeded(credential),
            Err(Code::Unauthenticated) => {
                failures.failed(from, credential, Instant::now());
                drop(failures);
                self.tell(from);
            }
            // Nobody knows: the look-up itself failed.
            Err(_) => {}
        }
    }

    /// Begins a call of a caller who is known by now, and waits for its turn.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        principal: Option<&Principal>,
        rule: Option<Rule>,
        head: &Parts,
    ) -> Result<Call, CallError> {
        let who = match principal {
            None => Who::Nobody,
            Some(Principal::Operator) => Who::Operator,
            Some(Principal::Agent { gateway, .. }) => Who::Agent(*gateway),
        };
        let watch = rule.is_some_and(|rule| rule.streams);
        let begun = self.lock_calls().begin(who, watch, Instant::now());
        begun.map_err(|error| counted("calls", error))?;
        let seat = Seat { limits: self.clone(), who, watch };
        let peer = peer(head).cloned();
        if let (Some(peer), Some(_)) = (&peer, principal) {
            peer.admit();
        }
        // A stream asks again and again, each time briefly; an answer is worked on once.
        let turn = if who == Who::Operator && !watch {
            let turn = timeout(TURN_WITHIN, self.turns.clone().acquire_owned()).await;
            let turn = turn.ok().and_then(Result::ok);
            Some(turn.ok_or_else(|| counted("turns", CallError::Busy(TURN_WITHIN)))?)
        } else {
            None
        };
        Ok(Call { seat, turn, peer })
    }

    /// An operator wants to know, but not each time.
    fn tell(&self, from: IpAddr) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.take(TOLD, Instant::now()).is_ok() {
            tracing::warn!(%from, "a credential that is not valid here was presented; there may be more of them");
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Call ===

impl Call {
    /// The work is done; the call is under way until its answer has been read.
    pub(crate) fn answered(self, response: Response<Body>) -> Response<Body> {
        let Self { seat, turn, peer } = self;
        drop(turn);
        let streams = seat.watch || matches!(seat.who, Who::Agent(_));
        let unread: Option<Unread> = peer.filter(|_| !streams).map(|peer| peer.answered());
        let held = (seat, unread);
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _until_the_body_is_dropped = &held;
                frame
            }))
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.limits.lock_calls().end(self.who, self.watch);
    }
}

/// The error, counted under the name of the limit that was met.
pub(crate) fn counted(limit: &'static str, error: CallError) -> CallError {
    metrics::counter!(crate::metrics::REFUSED, "limit" => limit).increment(1);
    error
}

fn peer(head: &Parts) -> Option<&Peer> {
    head.extensions.get()
}
