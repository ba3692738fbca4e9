//! What a session sends about packs: an offer with its bytes, and the confirmation of an answer.

use std::time::Duration;

use fleet_core::delivery::NextOffer;
use fleet_core::ids::OfferId;
use fleet_core::offer::{Intent, Offer};
use proto::convert::offers::OfferMessage;
use proto::v1::to_agent::Message as ToAgent;
use service_kit::failpoint;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::outbound::{End, Outbound};
use super::super::reports::Confirmed;
use super::Session;
use crate::operations::SentOffer;

/// An agent gets this share of the server's patience, so that its answer comes before the server gives up.
const AGENT_SHARE: f64 = 0.8;
/// When the bytes of an offer cannot be read, this long until the next try.
const RETRY: Duration = Duration::from_secs(1);

// === impl Session ===

impl Session {
    /// Sends what the gateway should run, if it is behind and nothing is on its way.
    pub(super) async fn offer(&mut self, outbound: &Outbound) -> Result<(), End> {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        self.retry_at = None;
        let desired = *self.cell.borrow_and_update();
        // Decided beside the delivery and taken over when it is on its way: the bytes may be out of reach.
        let mut decided = self.delivery.clone();
        let deadline = self.now().plus(self.hub.timings.offer_deadline);
        let id = OfferId(Uuid::new_v4());
        let Some(next) = decided.next_offer(desired, id, deadline) else { return Ok(()) };
        let parcel = if next.with_parcel {
            match self.hub.parcels.get(next.desired.digest).await {
                Ok(parcel) => Some(parcel),
                Err(error) => {
                    tracing::warn!(gateway = %self.path, %error, "the bytes of an offer cannot be read");
                    self.retry_at = Some(now + RETRY);
                    return Ok(());
                }
            }
        } else {
            None
        };
        self.delivery = decided;
        self.hub.reports.sent(SentOffer {
            gateway: self.gateway,
            generation: next.desired.generation,
            deadline: self.hub.timings.offer_deadline,
        });
        tracing::debug!(gateway = %self.path, generation = %next.desired.generation, "offered");
        failpoint::pass("offer.before_send").await?;
        outbound.send(ToAgent::Offer(self.offer_message(&next).into())).await?;
        metrics::counter!(crate::metrics::OFFERS).increment(1);
        failpoint::pass("offer.before_parcel").await?;
        if let Some(parcel) = parcel {
            let size = u64::try_from(parcel.source.len()).unwrap_or(u64::MAX);
            metrics::counter!(crate::metrics::PARCEL_BYTES).increment(size);
            outbound.send(ToAgent::Parcel(parcel)).await?;
        }
        failpoint::pass("offer.after_send").await?;
        Ok(())
    }

    fn offer_message(&self, next: &NextOffer) -> OfferMessage {
        let intent =
            Intent::Activate { lineage: self.delivery.lineage(), generation: next.desired.generation };
        OfferMessage {
            session: self.seat.session,
            offer: Offer { id: next.id, digest: next.desired.digest, intent },
            deadline: self.hub.timings.offer_deadline.mul_f64(AGENT_SHARE),
            parcel_follows: next.with_parcel,
        }
    }
}

/// Tells that an answer is durable.
pub(super) async fn confirm(outbound: &Outbound, confirmed: Confirmed) -> Result<(), End> {
    failpoint::pass("report_ack.before_send").await?;
    outbound.send(ToAgent::ReportAck(confirmed.into())).await?;
    failpoint::pass("report_ack.after_send").await?;
    Ok(())
}
