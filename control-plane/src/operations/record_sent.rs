//! Offers that went out, in batches: from here on silence is an answer after a while.

use std::time::Duration;

use fleet_core::ids::GatewayId;
use fleet_core::version::Generation;

use super::Context;
use crate::store::StoreError;
use crate::store::activations::{ActivationKey, activation_send};
use crate::store::presence::without_waiting_for_disk;

/// An offer that was put on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentOffer {
    pub gateway: GatewayId,
    pub generation: Generation,
    /// How long it may take until silence counts as an answer; longer than the agent is told.
    pub deadline: Duration,
}

/// Marks the activations as on their way. Not worth a wait for the disk: an offer that was forgotten is sent again.
///
/// # Errors
/// [`StoreError`].
pub async fn record_sent(context: &Context, offers: Vec<SentOffer>) -> Result<(), StoreError> {
    if offers.is_empty() {
        return Ok(());
    }
    let sent: Vec<(ActivationKey, Duration)> = offers
        .iter()
        .map(|offer| (ActivationKey::new(offer.gateway, offer.generation), offer.deadline))
        .collect();
    let sent = &sent;
    context
        .store
        .in_tx("record_sent", async |mut tx| {
            without_waiting_for_disk(&mut tx).await?;
            activation_send(&mut tx, sent).await?;
            Ok::<_, StoreError>((tx, ()))
        })
        .await
}
