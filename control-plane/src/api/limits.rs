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
use super::connections::{InUse, Peer, Unread};
use super::rules::Rule;
use crate::credential::CredentialHash;
use crate::operations::Principal;
use crate::store::lane::{OPERATORS, UNKNOWN};
use calls::{Calls, Who};
use failures::{Failures, Look, Sha256};
use service_kit::bucket::{Bucket, Rate};

/// Messages of one stream of an agent: a heartbeat in seconds, a report an offer, each repeated in seconds.
pub(crate) const MESSAGES: Rate = Rate { burst: 200.0, per_second: 20.0 };
/// Lines in the log about credentials that are not valid: one a minute.
const TOLD: Rate = Rate { burst: 1.0, per_second: 1.0 / 60.0 };
/// Calls of operators that say more than 64 KiB, which are packs: so many are in memory at once.
const LARGE: usize = 32;
/// How long a call waits for its turn at the database, or for a place among the large ones.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// What all calls of this replica share.
#[derive(Debug)]
pub(crate) struct Limits {
    failures: Mutex<Failures>,
    calls: Mutex<Calls>,
    /// The line of credentials that nobody knows yet.
    unknown: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    large: Arc<Semaphore>,
    told: Mutex<Bucket>,
}

/// A credential about to be looked up.
#[derive(Debug)]
pub(crate) struct Attempt {
    from: IpAddr,
    credential: Sha256,
    /// Of one that was not good here before.
    place: Option<OwnedSemaphorePermit>,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Call {
    seat: Seat,
    turn: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
    peer: Option<(Peer, InUse)>,
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
            unknown: Arc::new(Semaphore::new(UNKNOWN)),
            turns: Arc::new(Semaphore::new(OPERATORS)),
            large: Arc::new(Semaphore::new(LARGE)),
            told: Mutex::new(Bucket::full(TOLD, Instant::now())),
        })
    }

    /// Waits until the credential of a call may be looked up. `None`: there is none to look up.
    ///
    /// What was good here goes at once; what nobody knows stands in line, so that many of them neither stand before
    /// those nor fail all at once.
    pub(crate) async fn attempt(
        &self,
        head: &Parts,
        credential: Option<CredentialHash>,
    ) -> Result<Option<Attempt>, CallError> {
        let Some(credential) = credential else { return Ok(None) };
        let credential = *credential.as_bytes();
        let from = peer(head).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address());
        if self.is_good(from, credential)? {
            return Ok(Some(Attempt { from, credential, place: None }));
        }
        // Nobody closes the line.
        let place = self.unknown.clone().acquire_owned().await.ok();
        // Others of its address may have failed meanwhile, and it may be known by now.
        let good = self.is_good(from, credential)?;
        Ok(Some(Attempt { from, credential, place: place.filter(|_| !good) }))
    }

    fn is_good(&self, from: IpAddr, credential: Sha256) -> Result<bool, CallError> {
        match self.failures().look(from, credential, Instant::now()) {
            Look::Good => Ok(true),
            Look::Unknown => Ok(false),
            Look::KnownBad => Err(counted("known_bad_credential", CallError::WrongCredential)),
            Look::TooOften(wait) => Err(counted("failed_credentials", CallError::TooManyFailures(wait))),
        }
    }

    /// How the attempt ended: whether the caller is known, whatever it may call.
    pub(crate) fn judged(&self, attempt: Option<Attempt>, identified: Result<&Principal, &Status>) {
        // The next in line comes when this is noted.
        let Some(Attempt { from, credential, place: _place }) = attempt else { return };
        let mut failures = self.failures();
        match identified.map_err(Status::code) {
            Ok(_) => failures.succeeded(credential),
            Err(Code::Unauthenticated) => {
                failures.failed(from, credential, Instant::now());
                drop(failures);
                self.tell(from);
            }
            // Nobody knows: the look-up itself failed.
            Err(_) => {}
        }
    }

    /// Begins a call of a caller who is known by now.
    pub(crate) fn begin(
        self: &Arc<Self>,
        principal: Option<&Principal>,
        rule: Rule,
        head: &Parts,
    ) -> Result<Call, CallError> {
        let who = match principal {
            None => Who::Nobody,
            Some(Principal::Operator) => Who::Operator,
            Some(Principal::Agent { gateway, .. }) => Who::Agent(*gateway),
        };
        let watch = rule.streams;
        let begun = self.lock_calls().begin(who, watch, Instant::now());
        begun.map_err(|error| counted("calls", error))?;
        let seat = Seat { limits: self.clone(), who, watch };
        let peer = peer(head).filter(|_| principal.is_some());
        let peer = peer.map(|peer| (peer.clone(), peer.admit()));
        Ok(Call { seat, turn: None, large: None, peer })
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
    /// Whether it has to wait for its turn, and so to be heard whole before: who takes long to say what it wants
    /// holds up nobody. A stream asks again and again, each time briefly; an answer is worked on once.
    pub(crate) fn takes_turn(&self) -> bool {
        self.seat.who == Who::Operator && !self.seat.watch
    }

    /// Waits for a place among those that say more than most.
    pub(crate) async fn large_place(&mut self) -> Result<(), CallError> {
        if self.large.is_none() {
            self.large = Some(soon(&self.seat.limits.large).await?);
        }
        Ok(())
    }

    /// Waits for its turn, which is over with the work.
    pub(crate) async fn turn(&mut self) -> Result<(), CallError> {
        self.turn = Some(soon(&self.seat.limits.turns).await?);
        Ok(())
    }

    /// The work is done; the call is under way until its answer has been read.
    pub(crate) fn answered(self, response: Response<Body>) -> Response<Body> {
        let Self { seat, turn, large, peer } = self;
        drop((turn, large));
        let streams = seat.watch || matches!(seat.who, Who::Agent(_));
        let unread: Option<Unread> = peer.as_ref().filter(|_| !streams).map(|(peer, _)| peer.answered());
        let held = (seat, unread, peer);
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

/// A place, if one is free soon.
async fn soon(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, CallError> {
    let place = timeout(TURN_WITHIN, places.clone().acquire_owned()).await;
    let place = place.ok().and_then(Result::ok);
    place.ok_or_else(|| counted("turns", CallError::Busy(TURN_WITHIN)))
}

/// The error, counted under the name of the limit that was met.
pub(crate) fn counted(limit: &'static str, error: CallError) -> CallError {
    metrics::counter!(crate::metrics::REFUSED, "limit" => limit).increment(1);
    error
}

fn peer(head: &Parts) -> Option<&Peer> {
    head.extensions.get()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Request;
    use service_kit::drain;

    use super::*;
    use crate::credential::Credential;

    /// One of a host, as a caller whose connection says no address.
    async fn attempt(limits: &Limits, number: usize) -> Result<Option<Attempt>, CallError> {
        let head = Request::new(()).into_parts().0;
        limits.attempt(&head, Some(Credential::parse(&format!("kt_{number:A<43}")).unwrap().hash())).await
    }

    /// So many at once; answers how many were looked up, and how many of them at a time.
    async fn herd(limits: &Arc<Limits>, numbers: std::ops::Range<usize>, good: bool) -> (usize, usize) {
        let (_trigger, watcher) = drain::channel();
        let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let tasks: Vec<_> = numbers
            .map(|number| {
                let (limits, counts) = (limits.clone(), counts.clone());
                watcher.spawn("one of a herd", async move {
                    let Ok(attempt) = attempt(&limits, number).await else { return false };
                    let (now, most) = &*counts;
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    // The look-up.
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::Relaxed);
                    let wrong = Status::unauthenticated("wrong");
                    limits.judged(attempt, if good { Ok(&Principal::Operator) } else { Err(&wrong) });
                    true
                })
            })
            .collect();
        let mut looked_up = 0;
        for task in tasks {
            looked_up += usize::from(task.await.unwrap());
        }
        (looked_up, counts.1.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_guesses_is_bounded_and_stands_before_nobody_who_is_known() {
        let limits = Limits::new();
        let known = attempt(&limits, 0).await.unwrap();
        limits.judged(known, Ok(&Principal::Operator));
        let held = [attempt(&limits, 1).await, attempt(&limits, 2).await];
        let (flood, known) = tokio::join!(herd(&limits, 3..10_000, false), async {
            let known = attempt(&limits, 0).await.unwrap();
            drop(held);
            known
        });
        assert!(known.is_some_and(|known| known.place.is_none()));
        // All of them came before one had failed.
        let (looked_up, at_a_time) = flood;
        assert!((200..200 + UNKNOWN).contains(&looked_up), "{looked_up}");
        assert_eq!(at_a_time, UNKNOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_herd_that_is_new_here_waits_in_line_and_passes() {
        let limits = Limits::new();
        assert_eq!(herd(&limits, 0..10_000, true).await, (10_000, UNKNOWN));
        assert_eq!(herd(&limits, 0..10_000, true).await, (10_000, 10_000), "they are known now");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_learnt_of_a_credential_that_was_not_looked_up() {
        let limits = Limits::new();
        for unknown in [Status::unavailable("away"), Status::permission_denied("foreign")] {
            let once = attempt(&limits, 1).await.unwrap();
            limits.judged(once, Err(&unknown));
            assert!(attempt(&limits, 1).await.unwrap().unwrap().place.is_some());
        }
    }
}
