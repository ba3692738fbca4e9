//! Finds out whether the database is there, for everybody: the program is not ready while it is away, so that a
//! balancer sends calls to a replica that can answer.

use std::time::Duration;

use service_kit::drain::DrainWatcher;
use service_kit::readiness::{Readiness, ReadinessBlocker};

use crate::operations::Context;
use crate::store::StoreError;
use crate::store::reach::Answers;

const EVERY: Duration = Duration::from_millis(500);
/// Doubts, of which there may be many at once, do not make it look more often than this.
const AT_MOST_EVERY: Duration = Duration::from_millis(50);

/// Watches until the drain begins. The gRPC streams go on while the database is away: they need it for news only.
pub(super) async fn run(context: Context, readiness: Readiness, drain: DrainWatcher) {
    let store = &context.store;
    let mut probe = store.probe();
    let mut _blocked: Option<ReadinessBlocker> = None;
    metrics::gauge!(crate::metrics::DATABASE_UP).set(1.0);
    loop {
        let look = store.look_begins();
        let began = context.clock.now();
        match (probe.answers().await, store.away()) {
            (Ok(Answers::OnNewConnections), None) => {
                store.lost(began);
                store.found();
                tracing::warn!("the connections to the database were dead; there are new ones");
                context.wake.tell();
            }
            (Ok(_), Some(away)) => {
                store.found();
                _blocked = None;
                tracing::info!(away_since = %away.since, "the database answers again");
                metrics::gauge!(crate::metrics::DATABASE_UP).set(1.0);
                // Something may have been missed, and much may wait.
                context.wake.tell();
            }
            (Err(error), None) => {
                store.lost(began);
                _blocked = Some(readiness.block("database"));
                let cause = cause(&error);
                tracing::warn!(cause, "the database is away: streams go on, orders are refused");
                metrics::gauge!(crate::metrics::DATABASE_UP).set(0.0);
            }
            (Ok(Answers::AsBefore), None) | (Err(_), Some(_)) => {}
        }
        store.look_ends(look);
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(EVERY) => {}
            () = store.doubted() => tokio::time::sleep(AT_MOST_EVERY).await,
        }
    }
}

/// What the server or the network said.
fn cause(error: &StoreError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
