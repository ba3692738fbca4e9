//! Keeps the program unready while its database is away, so that a balancer sends calls to a replica that can answer.

use std::time::Duration;

use service_kit::drain::DrainWatcher;
use service_kit::readiness::{Readiness, ReadinessBlocker};

use crate::store::Store;

const EVERY: Duration = Duration::from_secs(1);

/// Watches until the drain begins. The gRPC streams go on meanwhile: they need the database for news only.
pub(super) async fn run(store: Store, readiness: Readiness, drain: DrainWatcher) {
    let mut away: Option<ReadinessBlocker> = None;
    loop {
        away = match (store.answers().await, away) {
            (Ok(()), Some(_)) => {
                tracing::info!("the database answers again");
                None
            }
            (Err(error), None) => {
                tracing::warn!(%error, "the database is away: streams go on, orders are refused");
                Some(readiness.block("database"))
            }
            (Ok(()), None) => None,
            (Err(_), held) => held,
        };
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
