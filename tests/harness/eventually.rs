//! Waits for a condition instead of sleeping, and when it never holds tells the last status seen, so that a
//! failure on another machine can be understood from its output alone.

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Calls `probe` until it answers `Ok` and returns that value; `Err` carries the status meanwhile.
///
/// # Panics
/// When `limit` has passed, with the caller's place, `what` and the last status.
#[track_caller]
pub fn eventually<T, S, P, F>(what: &str, limit: Duration, mut probe: P) -> impl Future<Output = T>
where
    S: Debug,
    P: FnMut() -> F,
    F: Future<Output = Result<T, S>>,
{
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            match timeout_at(deadline, probe()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(status)) => last = Some(status),
                Err(_) => give_up(caller, what, limit, &last),
            }
            if Instant::now() >= deadline {
                give_up(caller, what, limit, &last);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[expect(clippy::panic, reason = "a test that waited in vain fails")]
fn give_up(caller: &Location<'_>, what: &str, limit: Duration, last: &Option<impl Debug>) -> ! {
    match last {
        Some(status) => panic!("{caller}: not within {limit:?}: {what}; last status: {status:#?}"),
        None => panic!("{caller}: not within {limit:?}: {what}; the first look never returned"),
    }
}
