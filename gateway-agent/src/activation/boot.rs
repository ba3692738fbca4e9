//! A gateway's start: what the ledger holds is put in force before anything else is asked.

use std::sync::Arc;

use fleet_core::ids::{BootId, Lineage};
use fleet_core::offer::Acknowledgement;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use service_kit::failpoint;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::handle::ActivatorHandle;
use super::live::ActivePolicy;
use super::record::{KeptPack, Moment, Record};
use super::stages::{Candidate, MissingSecrets};
use super::status::version;
use super::trial::crash_loop;
use super::{Activator, EVENTS, Parts, log_refusal, told_down};

// === impl Activator ===

impl Activator {
    /// Reads the ledger and puts in force what it holds. Missing keys make targets down, not the gateway.
    pub async fn start(parts: Parts) -> (Self, ActivatorHandle) {
        let found = parts.ledger.load();
        for remark in &found.remarks {
            tracing::warn!("{remark}");
        }
        let boot = BootId(Uuid::new_v4());
        let (sender, events) = mpsc::channel(EVENTS);
        let (told, record) = watch::channel(Arc::new(Record::default()));
        let not_ready = Some(parts.readiness.block("policy"));
        let mut activator =
            Self { parts, record: found.record, config: None, boot, events, told, not_ready, good_at: None };
        // Where packs come from this host nobody is there to be pinned against.
        activator.record.pinned &= activator.is_managed();
        activator.start_from_disk(found.bootable, !found.remarks.is_empty()).await;
        activator.tell();
        (activator, ActivatorHandle { boot, events: sender, record, remarks: found.remarks.into() })
    }

    async fn start_from_disk(&mut self, mut bootable: Vec<ConfigDigest>, spoiled: bool) {
        let (began, wanted) = (Instant::now(), self.record.active);
        let fallen = self.begin_trial(&mut bootable).await;
        let _ = failpoint::pass("boot.on_trial").await;
        let before = self.record.clone();
        self.record.active = None;
        for digest in bootable {
            match self.prepare(digest, None, MissingSecrets::TargetDown).await {
                Ok(candidate) => {
                    self.resume(candidate);
                    break;
                }
                Err(refused) => log_refusal(digest, None, &refused.reason),
            }
        }
        self.take_back_ack();
        if self.record.active.is_some() {
            self.settle_trial();
        }
        if let Some(fallen) = &fallen {
            self.fall_back(fallen);
        }
        if spoiled || self.record != before {
            if wanted.is_some() && self.record.active != wanted {
                tracing::warn!("the pack that ran last cannot be started; see above");
                self.make_newest().await;
            }
            self.keep_or_warn().await;
        }
        self.tell_untold().await;
        if let Some(fallen) = fallen {
            self.fell_back(version(&fallen), &crash_loop(), began).await;
        }
    }

    /// Should every standing be lost, the newest file is what starts: that of what runs, not of what fell.
    async fn make_newest(&self) {
        let Some(digest) = self.record.active else { return };
        let written = self.on_disk(Record::default(), move |ledger, _| match ledger.pack(digest)? {
            Some(source) => ledger.keep_pack(digest, &source),
            None => Ok(()),
        });
        if let Err(reason) = written.await {
            tracing::warn!(%digest, reason = %reason.reason, "the pack that runs is not the newest on the disk");
        }
    }

    /// An ack that nobody confirmed says that its pack runs. Where that pack could not be started again
    /// it would be a lie: the offer will come again, and be answered again.
    fn take_back_ack(&mut self) {
        let active = self.record.active;
        self.record.unconfirmed.take_if(|report| {
            matches!(report.acknowledgement, Acknowledgement::Ack { .. }) && Some(report.digest) != active
        });
    }

    /// Puts in force what the disk holds; it is not a new activation.
    fn resume(&mut self, candidate: Candidate) {
        let Candidate { engine, config, version, digest, targets_down, .. } = candidate;
        if self.record.pack(digest).is_none() {
            // The record of it is lost. Whoever else gave it, it was not a control plane where there is none.
            let assigned = (!self.is_managed()).then_some((Lineage::LOCAL, Generation::FIRST));
            self.record.kept.push(KeptPack {
                digest,
                version: version.clone(),
                assigned,
                since: Moment::now(&self.parts.clock),
                proved: false,
                crashed: false,
            });
        }
        self.record.active = Some(digest);
        tracing::info!(%version, %digest, "policy started from disk");
        // Taken back from a newcomer that did not come to serve: what runs goes on with the keys it has.
        if self.parts.live.snapshot().is_some_and(|live| live.digest == digest) {
            self.config = Some(config);
            self.not_ready = None;
            return;
        }
        for finding in &targets_down {
            tracing::warn!(path = %finding.path, "a target is down: {}", finding.message);
        }
        let targets_down = told_down(&targets_down);
        self.swap(ActivePolicy::new(engine, version, digest, targets_down), config);
    }
}
