//! What silence becomes: an unanswered offer times out, a gateway not heard of is lost.

use std::time::Duration;

use fleet_core::liveness::STALE_FOR;
use service_kit::drain::DrainWatcher;

use crate::operations::Context;
use crate::operations::record_presence::record_losses;
use crate::store::StoreError;
use crate::store::activations::{activation_expire, activation_tell};

const TICK: Duration = Duration::from_secs(1);
/// A gateway is lost after a minute; looking at all of them every second would be no use.
const LOSSES_EVERY: u32 = 5;

/// Looks for silence until the drain begins.
pub async fn run(context: Context, drain: DrainWatcher) {
    for tick in (0..LOSSES_EVERY).cycle() {
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        let looked = if tick == 0 { look(&context).await } else { look_for_silence(&context).await };
        if let Err(error) = looked {
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
            let expired = activation_expire(&mut tx, STALE_FOR).await?;
            activation_tell(&mut tx, &expired).await?;
            Ok::<_, StoreError>((tx, expired.len()))
        })
        .await?;
    if expired > 0 {
        context.wake.tell();
    }
    Ok(expired)
}
