//! The crash loop guard: a pack is on trial from its activation until it has proved itself. Twice ended without
//! being asked to (a signal counts), it is withdrawn: the last good pack runs, and the generation of the withdrawn
//! one stays refused until another one brings a pack.
//!
//! It needs a good pack to go back to. Where there is none the gateway tries again: 503 helps nobody.

use fleet_core::offer::{NackReason, Stage};
use fleet_core::standing::RefusedAttempt;
use policy_config::ConfigDigest;
use tokio::time::Instant;

use super::record::{Record, Trial};
use super::{Activator, refused};

/// That many ends that nobody asked for, and a pack that has not proved itself is withdrawn.
pub(super) const MOST_CRASHES: u32 = 2;

// === impl Record ===

impl Record {
    /// The pack that does not run because it ended the gateway too often.
    pub fn withdrawn(&self) -> Option<ConfigDigest> {
        let trial = self.trial?;
        (trial.crashes >= MOST_CRASHES && self.active != Some(trial.digest)).then_some(trial.digest)
    }

    /// What a start makes of the last end: the number of crashes grows if nobody asked for it, and what was active
    /// is on trial again unless it is good. Answers the pack to withdraw.
    fn judge_last_end(&mut self) -> Option<ConfigDigest> {
        let active = self.active_pack()?;
        let (digest, good) = (active.digest, active.good);
        if good {
            return None;
        }
        let trial = self.trial.filter(|trial| trial.digest == digest);
        let crashes = trial.map_or(0, |trial| trial.crashes.saturating_add(u32::from(trial.running)));
        self.trial = Some(Trial { digest, crashes, running: true });
        let another = self.kept.iter().any(|pack| pack.good && pack.digest != digest);
        (crashes >= MOST_CRASHES && another).then_some(digest)
    }

    /// The refusal that keeps a withdrawn pack from coming back under its generation, for this start.
    fn refuse_withdrawn(&mut self, digest: ConfigDigest, boot: fleet_core::ids::BootId) {
        let assigned = self.pack(digest).and_then(|pack| pack.assigned);
        let Some((_, generation)) = assigned.filter(|(lineage, _)| self.lineage == Some(*lineage)) else {
            return;
        };
        self.refused = Some(RefusedAttempt { generation, digest, boot, reason: crash_loop() });
    }
}

// === impl Activator ===

impl Activator {
    /// Before anything is started from disk: should that end the process, it is counted. A withdrawn pack becomes
    /// the last resort.
    pub(super) async fn begin_trial(&mut self, bootable: &mut Vec<ConfigDigest>) {
        let before = self.record.trial;
        let withdrawn = self.record.judge_last_end();
        if self.record.trial != before {
            self.keep_or_warn().await;
        }
        if let Some(digest) = withdrawn.or(self.record.withdrawn()) {
            bootable.retain(|other| *other != digest);
            bootable.push(digest);
        }
        if let Some(digest) = withdrawn {
            let version = self.record.pack(digest).map(|pack| pack.version.to_string());
            tracing::error!(
                version,
                %digest,
                "crash loop: the gateway ended twice without being asked to before this pack had proved itself; \
                 it is withdrawn, and the last good pack runs. Load or roll out another one"
            );
            metrics::counter!("kt_gateway_crash_fallbacks_total").increment(1);
        }
    }

    /// After the start: what runs now is on trial unless it is good, what was withdrawn stays refused.
    pub(super) fn settle_trial(&mut self) {
        if let Some(digest) = self.record.withdrawn() {
            self.record.refuse_withdrawn(digest, self.boot);
        } else {
            self.record.on_trial();
        }
        self.good_at = Some(Instant::now() + self.parts.proving_time);
    }

    /// The live policy ran long enough: it may be what starts when a later one cannot.
    pub(super) async fn prove(&mut self) {
        self.good_at = None;
        let active = self.record.active;
        if let Some(pack) = self.record.kept.iter_mut().find(|pack| Some(pack.digest) == active) {
            pack.good = true;
            self.record.trial.take_if(|trial| Some(trial.digest) == active);
            self.keep_or_warn().await;
            self.tell();
        }
    }

    /// An end that somebody asked for is no crash of the pack.
    pub(super) async fn end_in_order(&mut self) {
        if let Some(trial) = self.record.trial.as_mut().filter(|trial| trial.running) {
            trial.running = false;
            self.keep_or_warn().await;
        }
    }
}

fn crash_loop() -> NackReason {
    refused(
        Stage::SelfTest,
        "crash loop: the gateway ended twice without being asked to before this pack had proved itself; it is \
         withdrawn, and the last good pack runs",
    )
}
