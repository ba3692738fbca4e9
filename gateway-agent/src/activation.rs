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
mod offers;
mod orders;
pub mod record;
pub mod secrets;
mod stages;
pub mod status;
mod told;
mod trial;
mod way_back;

use std::sync::Arc;
use std::time::Duration;

use fleet_core::ids::{BootId, Lineage};
use fleet_core::offer::{NackReason, Stage};
use fleet_core::version::Generation;
use instance::History;
use policy_config::{ConfigDigest, Finding, PolicyConfig};
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;
use service_kit::failpoint;
use service_kit::readiness::{Readiness, ReadinessBlocker};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use handle::Event;
use ledger::{Ledger, LedgerError};
use live::{ActivePolicy, LivePolicy};
use record::{KeptPack, Moment, PendingReport, Record, Why};
use secrets::SecretRules;
use stages::{Candidate, MissingSecrets, Refused, refused};
use told::{Story, until_told};

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
    /// What the live policy was compiled from.
    config: Option<PolicyConfig>,
    /// Until a policy is live.
    not_ready: Option<ReadinessBlocker>,
    /// When the live policy will have proved itself.
    good_at: Option<Instant>,
}

/// What an Activator works on.
pub struct Parts {
    pub live: LivePolicy,
    pub ledger: Arc<Ledger>,
    /// Where it is told how everything ended.
    pub history: History,
    pub secrets: SecretRules,
    pub readiness: Readiness,
    pub clock: Clock,
    /// A pack that ran this long without a crash is good.
    pub proving_time: Duration,
}

/// What for a pack is activated.
enum Purpose {
    /// An assignment of the control plane, and the answer to it.
    Offered { lineage: Lineage, generation: Generation, report: PendingReport },
    /// An order of this host. `leaves` is what a revert goes back from, `gone` what it passed over: not on the disk.
    Ordered { assigned: (Lineage, Generation), leaves: Option<ConfigDigest>, gone: Vec<ConfigDigest> },
}

// === impl Activator ===

impl Activator {
    /// Serves events until the drain begins or nobody can send one any more.
    pub async fn run(mut self, drain: DrainWatcher) {
        loop {
            let good_at = self.good_at;
            tokio::select! {
                // Once the gateway ends, nothing new is begun.
                biased;
                () = drain.signaled() => {
                    // First, so that nothing that is waited for makes a crash of it.
                    self.end_in_order().await;
                    return self.turn_away().await;
                }
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
            Event::Unpinned(unpin) => self.unpin(unpin).await,
            Event::Confirmed { offer } => self.confirm(offer).await,
        }
        self.tell();
    }

    /// Every stage before the keep, off the threads that serve.
    async fn prepare(
        &self,
        digest: ConfigDigest,
        source: Option<Vec<u8>>,
        missing: MissingSecrets,
    ) -> Result<Candidate, Refused> {
        let rules = self.parts.secrets.clone();
        let ledger = Arc::clone(&self.parts.ledger);
        let prepared = tokio::task::spawn_blocking(move || {
            let source = match source {
                Some(source) => Ok(Some(source)),
                None => ledger.pack(digest),
            };
            match source {
                Ok(Some(source)) => stages::prepare(source, digest, &rules, missing),
                Ok(None) => Err(Refused::unread(refused(
                    Stage::Verify,
                    format!("the bytes of {digest} did not come and are not on this gateway's disk"),
                ))),
                Err(error) => Err(Refused::unread(refused(Stage::Storage, error.to_string()))),
            }
        });
        prepared
            .await
            .unwrap_or_else(|_| Err(Refused::unread(refused(Stage::Verify, "the gateway is stopping"))))
    }

    /// Keep, then swap. Until the keep nothing has changed; the swap cannot fail.
    async fn activate(
        &mut self,
        candidate: Candidate,
        purpose: Purpose,
        story: &Story,
        warnings: &[Finding],
    ) -> Result<(), NackReason> {
        let Candidate { engine, config, version, digest, source, targets_down, took, .. } = candidate;
        let started = Instant::now();
        let mut next = self.record.clone();
        let (assigned, report, leaves) = match purpose {
            Purpose::Offered { lineage, generation, report } => {
                next.judged(lineage, generation);
                ((lineage, generation), Some(report), None)
            }
            Purpose::Ordered { assigned, leaves, gone } => {
                next.kept.retain(|pack| !gone.contains(&pack.digest));
                next.pinned = self.is_managed();
                if !next.pinned {
                    next.judged(assigned.0, assigned.1);
                }
                (assigned, None, leaves.and_then(|digest| self.record.pack(digest)))
            }
        };
        let offered = report.is_some();
        next.activated(KeptPack {
            digest,
            version: version.clone(),
            assigned: Some(assigned),
            since: Moment::now(&self.parts.clock),
            proved: false,
            crashed: false,
        });
        if let Some(left) = leaves {
            next.withdraw(left.digest, Some(left.version.clone()), Why::Reverted);
        }
        if offered {
            next.unconfirmed = report;
        }
        let forgotten = next.prune();
        let told = until_told(self.success(&next, story, warnings));
        next.untold = told.or(next.untold.take());
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
        let targets_down = told_down(&targets_down);
        self.swap(ActivePolicy::new(engine, version.clone(), digest, targets_down), config);
        if !offered {
            // An offer's answer is seen with its timings.
            self.tell();
        }
        let _ = failpoint::pass("swap.after").await;
        self.good_at = Some(Instant::now() + self.parts.proving_time);
        tracing::info!(
            %version,
            %digest,
            generation = assigned.1.0,
            warnings = warnings.len(),
            stages_ms = millis(took),
            keep_and_swap_ms = millis(started.elapsed()),
            "policy activated"
        );
        metrics::counter!("kt_gateway_activations_total", "result" => "active", "stage" => "").increment(1);
        Ok(())
    }

    fn swap(&mut self, next: ActivePolicy, config: PolicyConfig) {
        // Before the first request takes it.
        next.runs_for(self.record.active_pack().and_then(KeptPack::central_generation));
        self.parts.live.swap(Arc::new(next));
        metrics::counter!("kt_gateway_swaps_total").increment(1);
        self.config = Some(config);
        self.not_ready = None;
    }

    /// Makes `next` durable, and then true. Of an error nothing changes.
    async fn keep(&mut self, next: Record) -> Result<(), NackReason> {
        self.on_disk(next.clone(), |ledger, next| ledger.keep_record(next)).await?;
        self.record = next;
        Ok(())
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
        // An adoption changes the generation of what runs, and no policy.
        let active = self.record.active_pack();
        if let Some(live) = self.parts.live.snapshot()
            && let Some(pack) = active.filter(|pack| pack.digest == live.digest)
        {
            live.runs_for(pack.central_generation());
        }
        self.told.send_replace(Arc::new(self.record.clone()));
    }
}

/// As status and log tell it.
fn told_down(findings: &[Finding]) -> Vec<(String, String)> {
    findings.iter().map(|finding| (finding.path.clone(), finding.message.clone())).collect()
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
