//! From the first connection to the last byte: who steers meanwhile may change, and nobody who is served notices.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use service_kit::drain::{DrainTrigger, DrainWatcher, Signal, StillBusy};
use service_kit::failpoint;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::steering::{Sealed, Steering};
use super::take_over::Predecessor;
use super::{AppError, Bound};
use crate::activation::live::LivePolicy;
use crate::admin::handover::HandOver;
use crate::proxy::{Heir, ProxyTimeouts};

/// Who steers when the end has come.
enum Helm {
    Here(Box<Steering>),
    Elsewhere(Box<Sealed>),
}

/// What began the end.
struct Told {
    signal: Option<Signal>,
}

/// How long a newcomer may live beside this process before this one ends by itself: whoever should have told it to is
/// gone, and two that serve must not drift apart. Where nobody holds the directory then, there is no newcomer.
const LONGEST_SIDE_BY_SIDE: Duration = Duration::from_secs(300);
/// To tell after it whether somebody holds the directory.
const LOOK_FOR_HOLDER: Duration = Duration::from_secs(1);
/// Between two looks of a newcomer whether it has a policy by now.
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn run(
    bound: Bound,
    stop: impl Future<Output = Option<Signal>>,
    hurry: impl Future<Output = ()>,
) -> Result<(), AppError> {
    let Bound { listener, proxy, live, readiness, mut steering, waiting, predecessor, .. } = bound;
    let Bound { addresses, mut records, trigger, drain, drain_deadline, .. } = bound;
    steering.steer(waiting);
    let heir = listener.heir();
    let (told, serving_drain, beside_us) = (live.clone(), drain.clone(), heir.clone());
    let mut data_plane = drain.spawn("data plane", async move {
        let predecessor = match predecessor {
            Some(predecessor) => until_due(predecessor, &told, &serving_drain).await,
            None => None,
        };
        let serving = listener.serve(proxy, serving_drain);
        tokio::select! {
            () = serving => {}
            () = beside(predecessor, &beside_us) => {}
        }
    });
    let managed = steering.parts().settings.fleet().is_some();
    tracing::info!(listen = %addresses.data, managed, ready = readiness.is_ready(), "serving");

    let (helm, outcome) = steered(steering, pin!(stop), &mut data_plane).await;
    if let Some(records) = &mut records {
        records.ends();
    }
    tracing::info!("draining: requests in flight finish, no new ones are taken");
    let ended = match &helm {
        Helm::Here(steering) => {
            if outcome.is_err() {
                steering.fall();
            }
            trigger.start();
            steering.end();
            steering.close_door();
            let [others, door] = steering.drains();
            all_drained([&trigger, others, door], drain_deadline).await
        }
        Helm::Elsewhere(sealed) => {
            heir.is_there(true);
            trigger.start();
            sealed.door().start();
            let all = [&trigger, sealed.door()];
            let longest = ProxyTimeouts::default().stream_total + drain_deadline;
            tokio::select! {
                ended = all_drained(all, longest) => ended,
                () = hurry => {
                    // Nor is anybody given the time of day any more who only holds a connection open.
                    heir.is_there(false);
                    all_drained(all, drain_deadline).await
                }
            }
        }
    };
    match &ended {
        Ok(()) => tracing::info!("stopped"),
        Err(busy) => tracing::warn!(%busy, "stopped before everything had finished"),
    }
    if let Helm::Here(steering) = helm {
        if let Some(records) = records {
            let record = steering.handle().record();
            match &outcome {
                Ok(told) => {
                    let problem = ended.err().map(|busy| busy.to_string());
                    records.stopped(&record, told.signal, problem).await;
                }
                Err(error) => records.fell(&record, error).await,
            }
        }
        // Another gateway may not take the directory before this one is gone.
        steering.remove_door();
    }
    outcome.map(drop)
}

/// Steers, hands over and takes back, until the end begins.
async fn steered(
    mut steering: Steering,
    mut stop: Pin<&mut impl Future<Output = Option<Signal>>>,
    data_plane: &mut JoinHandle<()>,
) -> (Helm, Result<Told, AppError>) {
    loop {
        let HandOver { released, mut gone } = tokio::select! {
            signal = stop.as_mut() => return (Helm::Here(steering.into()), told(signal)),
            _ = &mut *data_plane => return (Helm::Here(steering.into()), Err(AppError::Defect("data plane"))),
            asked = steering.asked() => match asked {
                Ok(asked) => asked,
                Err(error) => return (Helm::Here(steering.into()), Err(error)),
            },
        };
        if released.is_closed() {
            continue;
        }
        tracing::info!("handing over: a new process takes the directory, requests go on");
        tokio::select! {
            signal = stop.as_mut() => return (Helm::Here(steering.into()), told(signal)),
            () = steering.hand_over() => {}
        }
        let mut sealed = steering.seal().await;
        let mut patience = LONGEST_SIDE_BY_SIDE;
        if released.send(()).is_ok() {
            tokio::select! {
                signal = stop.as_mut() => return (Helm::Elsewhere(sealed.into()), told(signal)),
                _ = &mut *data_plane => {
                    return (Helm::Elsewhere(sealed.into()), Err(AppError::Defect("data plane")));
                }
                () = sealed.refuse() => {}
                () = longest_side_by_side() => patience = LOOK_FOR_HOLDER,
                _ = &mut gone => {}
            }
        }
        tracing::warn!("no new process told this one to end; taking the directory back, if nobody holds it");
        let holding = tokio::select! {
            signal = stop.as_mut() => return (Helm::Elsewhere(sealed.into()), told(signal)),
            _ = &mut *data_plane => {
                return (Helm::Elsewhere(sealed.into()), Err(AppError::Defect("data plane")));
            }
            free = sealed.free(patience) => free,
        };
        let Some(holding) = holding else {
            tracing::error!(
                "another process holds the directory, and nobody told this one to end: it ends by itself"
            );
            return (Helm::Elsewhere(sealed.into()), told(None));
        };
        steering = sealed.take_back(holding).await;
        tracing::info!("the directory is taken back");
    }
}

async fn longest_side_by_side() {
    // A test need not wait for it.
    if failpoint::pass("serving.side_by_side").await.is_ok() {
        tokio::time::sleep(LONGEST_SIDE_BY_SIDE).await;
    }
}

fn told(signal: Option<Signal>) -> Result<Told, AppError> {
    if let Some(signal) = signal {
        tracing::info!(%signal, "told to stop");
    }
    Ok(Told { signal })
}

/// A newcomer accepts nobody whom it could only send away while its predecessor would serve them: it waits for a policy,
/// or for the predecessor's end.
async fn until_due(
    mut predecessor: Predecessor,
    live: &LivePolicy,
    drain: &DrainWatcher,
) -> Option<Predecessor> {
    let has_policy = async {
        while live.snapshot().is_none() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = has_policy => Some(predecessor),
        () = predecessor.gone() => None,
        () = drain.signaled() => None,
    }
}

/// As long as the predecessor lives it accepts as well; dropped, it takes back what it handed over. Never ends.
async fn beside(predecessor: Option<Predecessor>, heir: &Heir) {
    if let Some(mut predecessor) = predecessor {
        heir.is_there(true);
        predecessor.gone().await;
        heir.is_there(false);
    }
    std::future::pending().await
}

async fn all_drained<const N: usize>(all: [&DrainTrigger; N], deadline: Duration) -> Result<(), StillBusy> {
    let deadline = Instant::now() + deadline;
    let mut ended = Ok(());
    for trigger in all {
        let left = deadline.saturating_duration_since(Instant::now());
        ended = trigger.drained(left).await.and(ended);
    }
    ended
}
