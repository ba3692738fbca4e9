//! A gateway's start: what the ledger holds is put in force before anything else is asked.

use std::sync::Arc;

use fleet_core::ids::BootId;
use fleet_core::offer::Acknowledgement;
use policy_config::ConfigDigest;
use service_kit::failpoint;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::handle::ActivatorHandle;
use super::live::ActivePolicy;
use super::record::{KeptPack, Moment, Record};
use super::stages::{Candidate, MissingSecrets};
use super::{Activator, EVENTS, Parts, log_refusal};

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
        let mut activator = Self {
            parts,
            record: found.record,
            boot,
            events,
            told,
            not_ready,
            target_down: false,
            good_at: None,
        };
        activator.start_from_disk(found.bootable, !found.remarks.is_empty()).await;
        activator.tell();
        (activator, ActivatorHandle { boot, events: sender, record })
    }

    async fn start_from_disk(&mut self, mut bootable: Vec<ConfigDigest>, spoiled: bool) {
        let wanted = self.record.active;
        self.begin_trial(&mut bootable).await;
        let _ = failpoint::pass("boot.on_trial").await;
        let kept = self.record.trial;
        self.record.active = None;
        for digest in bootable {
            match self.prepare_with(digest, None, MissingSecrets::TargetDown).await {
                Ok(candidate) => {
                    self.resume(candidate);
                    break;
                }
                Err(reason) => log_refusal(digest, None, &reason),
            }
        }
        self.take_back_ack();
        if self.record.active.is_some() {
            self.settle_trial();
        }
        if spoiled || self.record.active != wanted || self.record.trial != kept {
            if wanted.is_some() && self.record.active != wanted {
                tracing::warn!("the pack that ran last cannot be started; see above");
            }
            self.keep_or_warn().await;
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
        let Candidate { engine, version, digest, targets_down, .. } = candidate;
        for finding in &targets_down {
            tracing::warn!(path = %finding.path, "a target is down: {}", finding.message);
        }
        if self.record.pack(digest).is_none() {
            self.record.kept.push(KeptPack {
                digest,
                version: version.clone(),
                assigned: None,
                since: Moment::now(&self.parts.clock),
                good: false,
            });
        }
        self.record.active = Some(digest);
        self.target_down = !targets_down.is_empty();
        tracing::info!(%version, %digest, "policy started from disk");
        self.swap(Arc::new(ActivePolicy { engine, version, digest }));
    }
}
