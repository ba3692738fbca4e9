//! The time in which another process steers: nothing of this one writes to the directory, and all is kept to take it
//! back as it was.

use std::sync::Arc;
use std::time::Duration;

use instance::lock::Lock;
use service_kit::drain::{self, DrainTrigger, Hangups};
use service_kit::readiness::ReadinessBlocker;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::copy::Copy;
use super::{Parts, Steering, metrics_port};
use crate::activation::ledger::{Ledger, LedgerError};
use crate::activation::record::{KeptPack, Record};
use crate::admin::Admin;
use crate::admin::handover::HandOver;
use crate::holding::{Holding, HoldingError};

/// What was handed over.
pub(in crate::app) struct Sealed {
    parts: Parts,
    /// As the last write of this process left it.
    record: Record,
    /// The bytes of what runs, should the disk lose them.
    running: Copy,
    /// Ending without a policy is not becoming ready.
    not_ready: Option<ReadinessBlocker>,
    /// A SIGHUP of this time is obeyed when all is taken back.
    hangups: Hangups,
    /// What the data port asks.
    admin: Arc<Admin>,
    hand_overs: mpsc::Receiver<HandOver>,
    /// Of the door, which answers that orders are not taken here, and holds the newcomer's connection.
    door: DrainTrigger,
}

/// Between two looks whether the lock is free.
const PAUSE: Duration = Duration::from_millis(100);

// === impl Steering ===

impl Steering {
    /// Ends all that writes, what was ordered before with it. May be dropped and awaited again.
    pub(in crate::app) async fn hand_over(&self) {
        self.admin.hand_over().await;
        self.end();
        self.all_ended().await;
    }

    /// Until all that writes has ended. May be dropped and awaited again.
    pub(in crate::app) async fn all_ended(&self) {
        while let Err(busy) = self.trigger.drained(Duration::from_secs(10)).await {
            tracing::warn!(%busy, "handing over waits");
        }
    }

    /// Lets go of the directory. Everything has ended.
    pub(in crate::app) async fn seal(self) -> Sealed {
        let Self { parts, holding, handle, admin, hand_overs, door, policy_file, copy, .. } = self;
        let not_ready = parts.live.snapshot().is_none().then(|| parts.readiness.block("policy"));
        let mut record = Record::clone(&handle.record());
        if let Some(trial) = &mut record.trial {
            // The Activator ended in order, and has said so on the disk only.
            trial.running = false;
        }
        let running = match copy {
            Some(task) => task.await.unwrap_or_default(),
            None => None,
        };
        let hangups = match policy_file {
            Some(task) => task.await.unwrap_or_else(|_| drain::hangups()),
            None => drain::hangups(),
        };
        drop(holding);
        Sealed { parts, record, running, not_ready, hangups, admin, hand_overs, door }
    }
}

// === impl Sealed ===

impl Sealed {
    /// Waits until nobody holds the directory, and holds it. `None`: somebody has held it for so long; a directory that
    /// cannot be used is waited for without an end. May be dropped and awaited again.
    pub(in crate::app) async fn free(&self, patience: Duration) -> Option<Holding> {
        let deadline = Instant::now() + patience;
        let mut told = false;
        loop {
            let place = self.parts.settings.place();
            let taking = tokio::task::spawn_blocking(move || match Lock::is_held(&place.lock()) {
                true => None,
                false => Some(Holding::take(place)),
            });
            match taking.await.ok().flatten() {
                Some(Ok(holding)) => return Some(holding),
                None | Some(Err(HoldingError::InUse { .. })) => {
                    if Instant::now() >= deadline {
                        return None;
                    }
                }
                Some(Err(error)) if !told => {
                    tracing::error!(%error, "the directory cannot be taken back; serving on as it is");
                    told = true;
                }
                Some(Err(_)) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Goes on as if nothing had been.
    pub(in crate::app) async fn take_back(self, holding: Holding) -> Steering {
        let Self { parts, record, running, not_ready, hangups, admin, door, .. } = self;
        let ledger = parts.ledger(&holding);
        let restored = tokio::task::spawn_blocking(move || restore(&ledger, record, running)).await;
        if let Ok(Err(error)) = restored {
            tracing::warn!(%error, "the standing of this gateway is not durable");
        }
        // The newcomer has the name in the directory; whoever is connected here gets his answer.
        door.start();
        let port = metrics_port(&parts.settings, &parts.readiness).await;
        let port = port.unwrap_or_else(|error| {
            tracing::warn!(%error, "the metrics port is not taken back");
            None
        });
        let (mut steering, waiting) = parts.take(holding, hangups, port, Some(admin)).await;
        drop(not_ready);
        steering.steer(waiting);
        steering
    }

    /// Another newcomer is refused while the first one lives: its wish is dropped. Never ends.
    pub(in crate::app) async fn refuse(&mut self) {
        while self.hand_overs.recv().await.is_some() {}
        std::future::pending().await
    }

    /// What still answers orders, with a refusal.
    pub(in crate::app) fn door(&self) -> &DrainTrigger {
        &self.door
    }
}

/// Makes the disk say what it said at the hand-over, unless the newcomer has activated something: that was
/// acknowledged to somebody. That a newcomer died is not held against the pack, which runs on here.
fn restore(ledger: &Ledger, sealed: Record, running: Copy) -> Result<(), LedgerError> {
    let found = ledger.load();
    for remark in &found.remarks {
        tracing::warn!("{remark}");
    }
    let Some((digest, source)) = running else { return Ok(()) };
    let known = |pack: &KeptPack| {
        sealed.kept.iter().any(|known| known.digest == pack.digest && known.since == pack.since)
    };
    if found.record.kept.first().is_some_and(|newest| !known(newest)) {
        return Ok(());
    }
    if !matches!(ledger.pack(digest), Ok(Some(_))) {
        ledger.keep_pack(digest, &source)?;
    }
    let mut record = if found.record.kept.is_empty() { sealed.clone() } else { found.record.clone() };
    if found.record.lineage.is_some() {
        // What was said to a control plane meanwhile was said.
        (record.lineage, record.highest) = (found.record.lineage, found.record.highest);
        (record.refused, record.unconfirmed) = (found.record.refused, found.record.unconfirmed);
    } else {
        (record.lineage, record.highest) = (sealed.lineage, sealed.highest);
    }
    if record.pack(digest).is_none() {
        record.kept.splice(0..0, sealed.pack(digest).cloned());
    }
    record.active = sealed.active;
    record.trial = sealed.trial;
    ledger.keep_record(&record)
}
