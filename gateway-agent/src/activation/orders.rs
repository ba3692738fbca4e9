//! Orders of this host: another pack, or back. Each ends as one record of the history.

use fleet_core::ids::{Lineage, OfferId};
use fleet_core::offer::{Intent, NackReason, Offer};
use fleet_core::standing::Judgement;
use fleet_core::version::Generation;
use instance::documents::Version;
use instance::{HistoryRecord, Outcome};
use policy_config::ConfigDigest;
use tokio::time::Instant;
use uuid::Uuid;

use super::handle::{Asked, LocalChange, Order, OrderError};
use super::{Activator, log_refusal};

// === impl Activator ===

impl Activator {
    pub(super) async fn take_order(&mut self, order: Order) {
        let Order { asked, change, answer } = order;
        let outcome = match change {
            LocalChange::Load(source) => self.load(&asked, source).await.map_err(OrderError::Refused),
            LocalChange::Revert => Err(OrderError::NothingToRevert),
        };
        // Who asked may have gone; the outcome is logged all the same.
        let _ = answer.send(outcome);
    }

    /// A file of this host, as the offer that it is: the next generation of the local lineage.
    async fn load(&mut self, asked: &Asked, source: Vec<u8>) -> Result<HistoryRecord, NackReason> {
        let started = Instant::now();
        let from = self.running();
        let digest = ConfigDigest::of(&source);
        if let Some(live) = self.parts.live.snapshot()
            && live.digest == digest
            && !self.target_down
        {
            tracing::info!(version = %live.version, %digest, "no change: the file is the pack that runs");
            return Ok(self.told_of(asked, Outcome::NoChange, from, started));
        }
        let highest = self.record.highest.filter(|_| self.record.lineage == Some(Lineage::LOCAL));
        let generation = highest.map_or(Generation::FIRST, Generation::next);
        let offer = Offer {
            id: OfferId(Uuid::new_v4()),
            digest,
            intent: Intent::Activate { lineage: Lineage::LOCAL, generation },
        };
        let outcome = match self.record.standing().judge(&offer, self.boot) {
            Judgement::Refuse(reason) => Err(reason),
            Judgement::Validate
            | Judgement::Activate { .. }
            | Judgement::Adopt { .. }
            | Judgement::AckAgain => match self.prepare(digest, Some(source)).await {
                Ok(candidate) => self.activate(candidate, Lineage::LOCAL, generation, None).await,
                Err(reason) => Err(reason),
            },
        };
        match outcome {
            Ok(()) => Ok(self.told_of(asked, Outcome::Succeeded, from, started)),
            Err(reason) => {
                let reason = self.remember_refusal(digest, Lineage::LOCAL, generation, reason);
                self.keep_or_warn().await;
                log_refusal(digest, None, &reason);
                Err(reason)
            }
        }
    }

    fn running(&self) -> Option<Version> {
        let pack = self.record.active_pack()?;
        Some(Version {
            generation: None,
            version: Some(pack.version.to_string()),
            digest: pack.digest,
            at: pack.since.wall,
        })
    }

    fn told_of(
        &self,
        asked: &Asked,
        outcome: Outcome,
        from: Option<Version>,
        started: Instant,
    ) -> HistoryRecord {
        let observed = self.running();
        HistoryRecord {
            id: Uuid::new_v4().to_string(),
            action: asked.action,
            at: self.parts.clock.now(),
            actor: asked.actor.clone(),
            outcome,
            from,
            to: observed.clone(),
            observed,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason: asked.reason.clone(),
            stage: None,
            findings: Vec::new(),
        }
    }
}
