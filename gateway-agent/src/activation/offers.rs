//! Offers of the control plane: judged, carried out, and answered exactly once each.

use fleet_core::ids::{Lineage, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, Intent, NackReason, Offer};
use fleet_core::standing::{Judgement, RefusedAttempt};
use fleet_core::version::Generation;
use instance::Action;
use policy_config::schema::PackVersion;
use policy_config::{ConfigDigest, Finding};
use proto::convert::reports::Timings;
use service_kit::failpoint;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::handle::{Asked, Offered, Validated};
use super::record::{Desired, Failure, Moment, PendingReport};
use super::stages::{MissingSecrets, Refused};
use super::told::Story;
use super::{Activator, Purpose, capped, log_refusal};

/// An offer that is to be activated.
#[derive(Clone, Copy)]
struct Assigned {
    session: SessionId,
    offer: OfferId,
    digest: ConfigDigest,
    lineage: Lineage,
    generation: Generation,
    received: Instant,
}

/// How an offer ended on this gateway.
enum Ended {
    /// It is active, and was told so before.
    Again,
    /// Its bytes run already.
    Adopted,
    /// With lint's warnings.
    Activated(Vec<Finding>),
    /// `again`: as it was told before. `version` is what its bytes say, where they were read.
    Refused { reason: NackReason, version: Option<PackVersion>, again: bool },
}

// === impl Activator ===

impl Activator {
    /// Answered exactly once, whatever it is.
    pub(super) async fn take_offer(&mut self, offered: Offered) {
        let Offered { session, offer, source, received, validated } = offered;
        let Intent::Activate { lineage, generation } = offer.intent else {
            return self.take_question(&offer, source, &validated).await;
        };
        let assigned =
            Assigned { session, offer: offer.id, digest: offer.digest, lineage, generation, received };
        let story = self.begin(Asked::by("control-plane", Action::Reload), received);
        let mut timings = Timings::default();
        let ended = match self.record.standing().judge(&offer, self.boot) {
            // An assignment is no question.
            Judgement::Validate | Judgement::AckAgain => Ended::Again,
            Judgement::Activate { .. } => self.activate_offered(assigned, source, &mut timings, &story).await,
            Judgement::Adopt { .. } => match self.adopt(assigned).await {
                Ok(()) => Ended::Adopted,
                Err(reason) => self.remember_refusal(assigned, None, reason),
            },
            Judgement::Refuse(reason) => {
                let again = self.record.refused.as_ref().is_some_and(|refused| {
                    (refused.generation, refused.digest, refused.boot)
                        == (generation, offer.digest, self.boot)
                });
                Ended::Refused { reason, version: None, again }
            }
        };
        self.report(assigned, &ended, timings).await;
        self.tell_history(assigned, ended, story).await;
    }

    /// Every stage up to the keep, and an answer.
    async fn take_question(
        &self,
        offer: &Offer,
        source: Option<Vec<u8>>,
        validated: &mpsc::Sender<Validated>,
    ) {
        let acknowledgement = match self.prepare(offer.digest, source, MissingSecrets::Refuse).await {
            Ok(candidate) => Acknowledgement::Ack { warnings: candidate.warnings },
            Err(refused) => Acknowledgement::Nack(capped(refused.reason)),
        };
        // Moves nothing, so it is not remembered; a lost answer is asked for again.
        let _ = validated.try_send(Validated { offer: offer.id, digest: offer.digest, acknowledgement });
    }

    async fn activate_offered(
        &mut self,
        assigned: Assigned,
        source: Option<Vec<u8>>,
        timings: &mut Timings,
        story: &Story,
    ) -> Ended {
        let prepared = self.prepare(assigned.digest, source, MissingSecrets::Refuse).await;
        timings.validate = assigned.received.elapsed();
        let (outcome, version) = match prepared {
            Ok(candidate) => {
                let (version, warnings) = (candidate.version.clone(), candidate.warnings.clone());
                // Kept with the pack: a crash after the keep must not lose the answer.
                let answer = Acknowledgement::Ack { warnings: warnings.clone() };
                let report = self.pending(assigned, answer, *timings);
                let Assigned { lineage, generation, .. } = assigned;
                let purpose = Purpose::Offered { lineage, generation, report };
                (self.activate(candidate, purpose, story, &warnings).await.map(|()| warnings), Some(version))
            }
            Err(Refused { reason, version }) => (Err(reason), version),
        };
        timings.activate = assigned.received.elapsed().saturating_sub(timings.validate);
        match outcome {
            Ok(warnings) => Ended::Activated(warnings),
            Err(reason) => self.remember_refusal(assigned, version, reason),
        }
    }

    /// The bytes run already: only the assignment is new.
    async fn adopt(&mut self, assigned: Assigned) -> Result<(), NackReason> {
        let Assigned { lineage, generation, .. } = assigned;
        let mut next = self.record.clone();
        let active = next.active;
        next.judged(lineage, generation);
        next.refused = None;
        if let Some(pack) = next.kept.iter_mut().find(|pack| Some(pack.digest) == active) {
            pack.assigned = Some((lineage, generation));
        }
        next.wants_what_runs(Moment::now(&self.parts.clock));
        self.keep(next).await?;
        tracing::info!(generation = generation.0, "generation adopted: its policy runs already");
        Ok(())
    }

    /// The next offer of the same is answered from memory. What was offered is desired and does not run.
    fn remember_refusal(
        &mut self,
        assigned: Assigned,
        version: Option<PackVersion>,
        reason: NackReason,
    ) -> Ended {
        let Assigned { digest, lineage, generation, .. } = assigned;
        let (reason, at) = (capped(reason), Moment::now(&self.parts.clock));
        self.record.judged(lineage, generation);
        self.record.refused =
            Some(RefusedAttempt { generation, digest, boot: self.boot, reason: reason.clone() });
        let generation = Some(generation);
        self.record.wants(Desired { digest, version: version.clone(), generation, since: at });
        self.record.last_failure = Some(Failure { at, action: Action::Reload, reason: reason.clone() });
        Ended::Refused { reason, version, again: false }
    }

    /// Leaves the answer where the link finds it, durably.
    async fn report(&mut self, assigned: Assigned, ended: &Ended, timings: Timings) {
        let acknowledgement = match ended {
            Ended::Again | Ended::Adopted | Ended::Activated(_) => {
                let pending = self.record.unconfirmed.as_mut().filter(|it| it.offer == assigned.offer);
                if let Some(report) = pending {
                    report.timings = timings;
                    return;
                }
                Acknowledgement::Ack { warnings: Vec::new() }
            }
            Ended::Refused { reason, .. } => {
                log_refusal(assigned.digest, Some(assigned.generation), reason);
                Acknowledgement::Nack(reason.clone())
            }
        };
        self.record.unconfirmed = Some(self.pending(assigned, acknowledgement, timings));
        self.keep_or_warn().await;
    }

    async fn tell_history(&mut self, assigned: Assigned, ended: Ended, story: Story) {
        match ended {
            // The first time told it.
            Ended::Again | Ended::Refused { again: true, .. } => {}
            Ended::Adopted => drop(self.changed_nothing(story).await),
            Ended::Activated(warnings) => drop(self.succeeded(story, &warnings).await),
            Ended::Refused { reason, version, again: false } => {
                let to = self.wanted(assigned.digest, version.as_ref(), Some(assigned.generation));
                drop(self.refused_at(story, Some(to), &reason).await);
            }
        }
    }

    pub(super) async fn confirm(&mut self, offer: OfferId) {
        if self.record.unconfirmed.as_ref().is_some_and(|report| report.offer == offer) {
            self.record.unconfirmed = None;
            if failpoint::pass("confirm.before_keep").await.is_ok() {
                self.keep_or_warn().await;
            }
        }
    }

    fn pending(
        &self,
        assigned: Assigned,
        acknowledgement: Acknowledgement,
        timings: Timings,
    ) -> PendingReport {
        let Assigned { session, offer, digest, lineage, generation, .. } = assigned;
        let at = Moment::now(&self.parts.clock);
        PendingReport { session, offer, lineage, generation, digest, acknowledgement, at, timings }
    }
}
