//! The crash loop guard: a pack is on trial from its activation until it has proved itself. Twice ended without
//! being asked to (a signal counts), it is withdrawn: the last good pack runs, and the generation of the withdrawn
//! one stays refused until another one brings a pack.
//!
//! It needs a good pack to go back to. Where there is none the gateway tries again: 503 helps nobody.

use fleet_core::ids::BootId;
use fleet_core::offer::{NackReason, Stage};
use fleet_core::standing::RefusedAttempt;
use instance::Action;
use policy_config::ConfigDigest;
use tokio::time::Instant;

use super::record::{Desired, Failure, KeptPack, Moment, Record, Trial, Why};
use super::{Activator, refused};

/// That many ends that nobody asked for, and a pack that has not proved itself is withdrawn.
pub(super) const MOST_CRASHES: u32 = 2;

// === impl Record ===

impl Record {
    /// What a start makes of the last end: the number of crashes grows if nobody asked for it, what was active is on
    /// trial again unless it proved itself, and it is withdrawn if it ended the gateway too often. Answers
    /// what is withdrawn for that.
    pub(super) fn judge_last_end(&mut self) -> Option<KeptPack> {
        self.withdraw_as_earlier_releases_did();
        let active = self.active_pack()?.clone();
        let digest = active.digest;
        if active.proved {
            return None;
        }
        let trial = self.trial.filter(|trial| trial.digest == digest);
        let crashed = trial.is_some_and(|trial| trial.running);
        let crashes = trial.map_or(0, |trial| trial.crashes.saturating_add(u32::from(trial.running)));
        self.trial = Some(Trial { digest, crashes, running: true });
        if crashed && let Some(pack) = self.kept.iter_mut().find(|pack| pack.digest == digest) {
            pack.crashed = true;
        }
        let another = self.good().any(|pack| pack.digest != digest);
        if crashes >= MOST_CRASHES && another {
            self.withdraw(digest, Some(active.version.clone()), Why::Crashed);
            return Some(active);
        }
        None
    }

    /// Their standing said it by the trial alone.
    fn withdraw_as_earlier_releases_did(&mut self) {
        let Some(trial) = self.trial.filter(|trial| trial.crashes >= MOST_CRASHES) else { return };
        if self.active != Some(trial.digest) && !self.is_withdrawn(trial.digest) {
            let version = self.pack(trial.digest).map(|pack| pack.version.clone());
            self.withdraw(trial.digest, version, Why::Crashed);
        }
    }

    /// The refusal that keeps a withdrawn pack from coming back under its generation, for this start.
    fn refuse_withdrawn(&mut self, boot: BootId) {
        let (lineage, highest) = (self.lineage, self.highest);
        let newest = self.kept.iter().find_map(|pack| {
            let (assigned_in, generation) = pack.assigned?;
            let offered_again = Some(assigned_in) == lineage && Some(generation) == highest;
            let crashed = self.why_withdrawn(pack.digest) == Some(Why::Crashed);
            (offered_again && crashed && self.active != Some(pack.digest))
                .then_some((pack.digest, generation))
        });
        if let Some((digest, generation)) = newest {
            self.refused = Some(RefusedAttempt { generation, digest, boot, reason: crash_loop() });
        }
    }
}

fn crash_fallbacks() -> metrics::Counter {
    metrics::counter!("kt_gateway_crash_fallbacks_total")
}

// === impl Activator ===

impl Activator {
    /// Before anything is started from disk: should that end the process, it is counted. A withdrawn pack becomes
    /// the last resort.
    pub(super) async fn begin_trial(&mut self, bootable: &mut Vec<ConfigDigest>) -> Option<KeptPack> {
        // So that a scrape finds it before the first.
        crash_fallbacks().increment(0);
        let before = self.record.clone();
        let fallen = self.record.judge_last_end();
        if !self.record.kept.is_empty() {
            *bootable = self.record.start_order();
        }
        if self.record != before {
            self.keep_or_warn().await;
        }
        fallen
    }

    /// What ran last is withdrawn: it is said, and what was wanted is told apart from what runs.
    pub(super) fn fall_back(&mut self, fallen: &KeptPack) {
        let KeptPack { digest, version, .. } = fallen;
        tracing::error!(
            %version,
            %digest,
            "crash loop: the gateway ended twice without being asked to before this pack had proved itself; \
             it is withdrawn, and the last good pack runs. Load or roll out another one"
        );
        crash_fallbacks().increment(1);
        let at = Moment::now(&self.parts.clock);
        if self.record.desired.is_none() {
            self.record.wants(Desired {
                digest: *digest,
                version: Some(version.clone()),
                generation: fallen.central_generation(),
                since: fallen.since,
            });
        }
        if self.record.desired.as_ref().is_some_and(|desired| desired.digest == *digest) {
            self.record.last_failure =
                Some(Failure { at, action: Action::CrashFallback, reason: crash_loop() });
        }
    }

    /// After the start: what runs now is on trial unless it has proved itself, what was withdrawn stays refused.
    pub(super) fn settle_trial(&mut self) {
        self.record.refuse_withdrawn(self.boot);
        self.record.on_trial();
        self.good_at = Some(Instant::now() + self.parts.proving_time);
    }

    /// The live policy ran long enough: it may be what starts when a later one cannot.
    pub(super) async fn prove(&mut self) {
        self.good_at = None;
        let active = self.record.active;
        if let Some(pack) = self.record.kept.iter_mut().find(|pack| Some(pack.digest) == active) {
            (pack.proved, pack.crashed) = (true, false);
            let digest = pack.digest;
            // It may have been the last resort.
            self.record.welcome(digest);
            self.record.trial.take_if(|trial| Some(trial.digest) == active);
            self.unmark().await;
            self.keep_or_warn().await;
            self.tell();
        }
    }

    /// An end that somebody asked for is no crash of the pack, also on a disk that takes no other standing.
    pub(super) async fn end_in_order(&mut self) {
        self.unmark().await;
        if let Some(trial) = self.record.trial.as_mut().filter(|trial| trial.running) {
            trial.running = false;
            self.keep_or_warn().await;
        }
    }

    async fn unmark(&self) {
        if let Err(reason) = self.on_disk(Record::default(), |ledger, _| ledger.unmark()).await {
            tracing::warn!(reason = %reason.reason, "an end of this gateway may count as a crash of its pack");
        }
    }
}

pub(super) fn crash_loop() -> NackReason {
    refused(
        Stage::SelfTest,
        "crash loop: the gateway ended twice without being asked to before this pack had proved itself; it is \
         withdrawn, and the last good pack runs",
    )
}
