//! What silence becomes: an unanswered offer times out, a gateway not heard of is lost.

use std::time::Duration;

use fleet_core::liveness::{ONLINE_FOR, STALE_FOR};
use service_kit::drain::DrainWatcher;
use tokio::time::Instant;

use crate::operations::Context;
use crate::operations::record_presence::record_losses;
use crate::store::StoreError;
use crate::store::activations::{activation_expire, activation_tell};

const TICK: Duration = Duration::from_secs(1);
/// Once the database is there again, before an offer counts as unanswered: agents repeat what was not confirmed.
const AFTER_RETURN: Duration = Duration::from_secs(5);
/// A gateway is lost after a minute; looking at all of them every second would be no use.
const LOSSES_EVERY: u32 = 5;

/// Since when silence means something: for as long as this program or the database was away, nobody could be heard.
#[derive(Debug, Clone, Copy)]
struct Hearing {
    since: Instant,
}

// === impl Hearing ===

impl Hearing {
    const fn since(now: Instant) -> Self {
        Self { since: now }
    }

    /// Long enough for everybody to come back and be heard of.
    fn is_long(self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= STALE_FOR
    }
}

/// Looks for silence until the drain begins.
pub async fn run(context: Context, drain: DrainWatcher) {
    let mut hearing = Hearing::since(Instant::now());
    for tick in (0..LOSSES_EVERY).cycle() {
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        if context.store.away().is_some() {
            tokio::select! {
                () = drain.signaled() => return,
                () = context.store.until_there() => {}
            }
            hearing = Hearing::since(Instant::now());
            // What was answered meanwhile is on its way into the database.
            tokio::select! {
                () = drain.signaled() => return,
                () = tokio::time::sleep(AFTER_RETURN) => {}
            }
        }
        let losses = tick == 0 && hearing.is_long(Instant::now());
        let looked = if losses { look(&context).await } else { look_for_silence(&context).await };
        if let Err(error) = looked {
            hearing = Hearing::since(Instant::now());
            tracing::warn!(%error, "silence could not be looked for; trying again");
        }
    }
}

/// Looks once for both; answers how many offers timed out.
///
/// # Errors
/// [`StoreError`].
pub async fn look(context: &Context) -> Result<usize, StoreError> {
    record_losses(context).await?;
    look_for_silence(context).await
}

async fn look_for_silence(context: &Context) -> Result<usize, StoreError> {
    let expired = context
        .store
        .in_tx("expire_offers", async |mut tx| {
            // Silent is who is there and does not answer; who is away, if only for a moment, is offline.
            let expired = activation_expire(&mut tx, ONLINE_FOR).await?;
            activation_tell(&mut tx, &expired).await?;
            Ok::<_, StoreError>((tx, expired.len()))
        })
        .await?;
    if expired > 0 {
        context.wake.tell();
    }
    Ok(expired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_lost_before_everybody_could_be_heard() {
        let start = Instant::now();
        let hearing = Hearing::since(start);
        assert!(!hearing.is_long(start + STALE_FOR - Duration::from_millis(1)));
        assert!(hearing.is_long(start + STALE_FOR));
        // Looked at from before it began.
        assert!(!Hearing::since(start + STALE_FOR).is_long(start));
    }
}
