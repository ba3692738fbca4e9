//! The one place where the pack changes: the Activator, an owner task with a closed set of events.
//!
//! It alone writes the live policy, the record and the ledger; others read the record through a
//! `watch`. Whatever the source, a pack passes the same line: judge → [`stages`] → keep → swap →
//! tell. It must not know of streams or of the data plane.

mod boot;
pub mod env_file;
pub mod handle;
pub mod ledger;
pub mod live;
pub mod local_source;
mod orders;
pub mod record;
pub mod secrets;
mod stages;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use fleet_core::ids::{BootId, Lineage, OfferId};
use fleet_core::offer::{Acknowledgement, Intent, NackReason, Stage};
use fleet_core::standing::{Judgement, RefusedAttempt};
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use proto::convert::reports::Timings;
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;
use service_kit::failpoint;
use service_kit::readiness::{Readiness, ReadinessBlocker};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use handle::{Event, Offered, Validated};
use ledger::{Ledger, LedgerError};
use live::{ActivePolicy, LivePolicy};
use record::{KeptPack, Moment, PendingReport, Record};
use secrets::SecretRules;
use stages::{Candidate, MissingSecrets, refused};

/// A pack that ran this long without a crash is good, unless the settings say otherwise.
pub const PROVING_TIME: Duration = Duration::from_secs(60);
/// What a report carries at most; a hostile pack has thousands.
const MOST_FINDINGS: usize = 32;
/// Offers come one at a time; the rest are confirmations.
const EVENTS: usize = 32;

/// Owner of what runs.
pub struct Activator {
    parts: Parts,
    record: Record,
    boot: BootId,
    events: mpsc::Receiver<Event>,
    told: watch::Sender<Arc<Record>>,
    /// Until a policy is live.
    not_ready: Option<ReadinessBlocker>,
    /// A target of the live policy lacks its key, so identical bytes are worth another activation.
    target_down: bool,
    /// When the live policy will have proved itself.
    good_at: Option<Instant>,
}

/// What an Activator works on.
pub struct Parts {
    pub live: LivePolicy,
    pub ledger: Arc<Ledger>,
    pub secrets: SecretRules,
    pub readiness: Readiness,
    pub clock: Clock,
    /// A pack that ran this long without a crash is good.
    pub proving_time: Duration,
}

// === impl Activator ===

impl Activator {
    /// Serves events until the drain begins or nobody can send one any more.
    pub async fn run(mut self, drain: DrainWatcher) {
        loop {
            let good_at = self.good_at;
            tokio::select! {
                () = drain.signaled() => return self.end_in_order().await,
                event = self.events.recv() => match event {
                    Some(event) => self.handle(event).await,
                    None => return,
                },
                () = async { tokio::time::sleep_until(good_at.unwrap_or_else(Instant::now)).await },
                    if good_at.is_some() => self.prove().await,
            }
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Offered(offered) => self.take_offer(offered).await,
            Event::Ordered(order) => self.take_order(order).await,
            Event::Confirmed { offer } => self.confirm(offer).await,
        }
        self.tell();
    }

    /// An offer of the control plane: answered exactly once, whatever it is.
    async fn take_offer(&mut self, offered: Offered) {
        let Offered { session, offer, source, received, validated } = offered;
        let mut timings = Timings::default();
        let outcome = match self.record.standing().judge(&offer, self.boot) {
            Judgement::Validate => {
                let acknowledgement = match self.prepare(offer.digest, source).await {
                    Ok(candidate) => Acknowledgement::Ack { warnings: candidate.warnings },
                    Err(reason) => Acknowledgement::Nack(capped(reason)),
                };
                // Moves nothing, so it is not remembered; a lost answer is asked for again.
                let _ =
                    validated.try_send(Validated { offer: offer.id, digest: offer.digest, acknowledgement });
                return;
            }
            Judgement::Activate { lineage, generation, .. } => {
                let prepared = self.prepare(offer.digest, source).await;
                timings.validate = received.elapsed();
                let outcome = match prepared {
                    Ok(candidate) => {
                        // Kept with the pack: a crash after the keep must not lose the answer.
                        let report = PendingReport {
                            session,
                            offer: offer.id,
                            lineage,
                            generation,
                            digest: offer.digest,
                            acknowledgement: Acknowledgement::Ack { warnings: candidate.warnings.clone() },
                            at: Moment::now(&self.parts.clock),
                            timings,
                        };
                        self.activate(candidate, lineage, generation, Some(report)).await
                    }
                    Err(reason) => Err(reason),
                };
                timings.activate = received.elapsed().saturating_sub(timings.validate);
                outcome.map_err(|reason| self.remember_refusal(offer.digest, lineage, generation, reason))
            }
            Judgement::Adopt { lineage, generation, .. } => {
                let outcome = self.adopt(lineage, generation).await;
                outcome.map_err(|reason| self.remember_refusal(offer.digest, lineage, generation, reason))
            }
            Judgement::AckAgain => Ok(()),
            Judgement::Refuse(reason) => Err(reason),
        };
        let Intent::Activate { lineage, generation } = offer.intent else { return };
        let acknowledgement = match outcome {
            Ok(()) => {
                if let Some(report) =
                    self.record.unconfirmed.as_mut().filter(|report| report.offer == offer.id)
                {
                    report.timings = timings;
                    return;
                }
                Acknowledgement::Ack { warnings: Vec::new() }
            }
            Err(reason) => {
                log_refusal(offer.digest, Some(generation), &reason);
                Acknowledgement::Nack(reason)
            }
        };
        self.record.unconfirmed = Some(PendingReport {
            session,
            offer: offer.id,
            lineage,
            generation,
            digest: offer.digest,
            acknowledgement,
            at: Moment::now(&self.parts.clock),
            timings,
        });
        self.keep_or_warn().await;
    }

    /// Every stage before the keep, off the threads that serve.
    async fn prepare(&self, digest: ConfigDigest, source: Option<Vec<u8>>) -> Result<Candidate, NackReason> {
        self.prepare_with(digest, source, MissingSecrets::Refuse).await
    }

    async fn prepare_with(
        &self,
        digest: ConfigDigest,
        source: Option<Vec<u8>>,
        missing: MissingSecrets,
    ) -> Result<Candidate, NackReason> {
        let rules = self.parts.secrets.clone();
        let ledger = Arc::clone(&self.parts.ledger);
        let prepared = tokio::task::spawn_blocking(move || {
            let Some(source) = source.or_else(|| ledger.pack(digest)) else {
                return Err(refused(
                    Stage::Verify,
                    format!("the bytes of {digest} did not come and are not on this gateway's disk"),
                ));
            };
            stages::prepare(source, digest, &rules, missing)
        });
        prepared.await.unwrap_or_else(|_| Err(refused(Stage::Verify, "the gateway is stopping")))
    }

    /// Keep, then swap. Until the keep nothing has changed; the swap cannot fail.
    async fn activate(
        &mut self,
        candidate: Candidate,
        lineage: Lineage,
        generation: Generation,
        report: Option<PendingReport>,
    ) -> Result<(), NackReason> {
        let Candidate { engine, version, digest, source, targets_down, warnings, took } = candidate;
        let started = Instant::now();
        let mut next = self.record.clone();
        next.judged(lineage, generation);
        next.activated(KeptPack {
            digest,
            version: version.clone(),
            assigned: Some((lineage, generation)),
            since: Moment::now(&self.parts.clock),
            good: false,
        });
        if report.is_some() {
            next.unconfirmed = report;
        }
        let forgotten = next.prune();
        failpoint::pass("keep.before").await.map_err(|error| refused(Stage::Storage, error.to_string()))?;
        let kept_before = self.record.pack(digest).is_some();
        self.on_disk(next.clone(), move |ledger, next| {
            let kept = ledger.keep_pack(digest, &source).and_then(|()| ledger.keep_record(next));
            match &kept {
                Ok(()) => ledger.forget_packs(&forgotten),
                Err(_) if !kept_before => ledger.forget_packs(&[digest]),
                Err(_) => {}
            }
            kept
        })
        .await?;
        self.record = next;
        // What is kept is swapped in, whatever comes: a test may let it die or dawdle here, and no more.
        let _ = failpoint::pass("swap.before").await;
        self.swap(Arc::new(ActivePolicy { engine, version: version.clone(), digest }));
        let _ = failpoint::pass("swap.after").await;
        self.target_down = !targets_down.is_empty();
        self.good_at = Some(Instant::now() + self.parts.proving_time);
        tracing::info!(
            %version,
            %digest,
            generation = generation.0,
            warnings = warnings.len(),
            stages_ms = millis(took),
            keep_and_swap_ms = millis(started.elapsed()),
            "policy activated"
        );
        metrics::counter!("kt_gateway_activations_total", "result" => "active", "stage" => "").increment(1);
        Ok(())
    }

    /// The bytes run already: only the assignment is new.
    async fn adopt(&mut self, lineage: Lineage, generation: Generation) -> Result<(), NackReason> {
        let mut next = self.record.clone();
        let active = next.active;
        next.judged(lineage, generation);
        next.refused = None;
        if let Some(pack) = next.kept.iter_mut().find(|pack| Some(pack.digest) == active) {
            pack.assigned = Some((lineage, generation));
        }
        self.on_disk(next.clone(), |ledger, next| ledger.keep_record(next)).await?;
        self.record = next;
        tracing::info!(generation = generation.0, "generation adopted: its policy runs already");
        Ok(())
    }

    /// The next offer of the same is answered from memory.
    fn remember_refusal(
        &mut self,
        digest: ConfigDigest,
        lineage: Lineage,
        generation: Generation,
        reason: NackReason,
    ) -> NackReason {
        let reason = capped(reason);
        self.record.judged(lineage, generation);
        self.record.refused =
            Some(RefusedAttempt { generation, digest, boot: self.boot, reason: reason.clone() });
        reason
    }

    async fn confirm(&mut self, offer: OfferId) {
        if self.record.unconfirmed.as_ref().is_some_and(|report| report.offer == offer) {
            self.record.unconfirmed = None;
            if failpoint::pass("confirm.before_keep").await.is_ok() {
                self.keep_or_warn().await;
            }
        }
    }

    fn swap(&mut self, next: Arc<ActivePolicy>) {
        self.parts.live.swap(next);
        self.not_ready = None;
        metrics::gauge!("kt_gateway_retired_policies").set(self.parts.live.retired_draining() as f64);
    }

    /// For what is true already, whether or not the disk takes it.
    async fn keep_or_warn(&self) {
        let kept = self.on_disk(self.record.clone(), |ledger, record| ledger.keep_record(record)).await;
        if let Err(reason) = kept {
            tracing::warn!(reason = %reason.reason, "the standing of this gateway is not durable");
        }
    }

    /// Syncing a disk takes its time: never on a thread that serves.
    async fn on_disk(
        &self,
        record: Record,
        write: impl FnOnce(&Ledger, &Record) -> Result<(), LedgerError> + Send + 'static,
    ) -> Result<(), NackReason> {
        let ledger = Arc::clone(&self.parts.ledger);
        match tokio::task::spawn_blocking(move || write(&ledger, &record)).await {
            Ok(written) => written.map_err(|error| refused(Stage::Storage, error.to_string())),
            Err(_) => Err(refused(Stage::Storage, "the gateway is stopping")),
        }
    }

    fn tell(&self) {
        self.told.send_replace(Arc::new(self.record.clone()));
    }
}

fn capped(mut reason: NackReason) -> NackReason {
    if reason.findings.len() > MOST_FINDINGS {
        reason.findings.sort_by_key(|finding| finding.severity);
        reason.findings.truncate(MOST_FINDINGS);
    }
    reason
}

fn log_refusal(digest: ConfigDigest, generation: Option<Generation>, reason: &NackReason) {
    let generation = generation.map(|generation| generation.0);
    tracing::warn!(%digest, generation, stage = %reason.stage, reason = %reason.reason, "policy refused; nothing changed");
    metrics::counter!(
        "kt_gateway_activations_total", "result" => "refused", "stage" => reason.stage.as_str()
    )
    .increment(1);
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests;
