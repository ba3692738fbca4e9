//! Orders of this host: another pack, back, or under the control plane again. Each is carried out to its end, whether
//! or not whoever gave it still waits, and ends as one record of the history.

use std::sync::Arc;

use fleet_core::ids::Lineage;
use fleet_core::offer::{NackReason, Stage};
use fleet_core::version::Generation;
use instance::HistoryRecord;
use instance::documents::Version;
use policy_config::lint::lint_load;
use policy_config::{ConfigDigest, PolicyDocument};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::handle::{Asked, Event, LocalChange, Order, OrderError, Unpin};
use super::record::{Desired, Failure, Moment, Record};
use super::stages::{MissingSecrets, Refused};
use super::status::version;
use super::told::{Story, until_told};
use super::way_back::{WayBack, last_resort};
use super::{Activator, Purpose, capped, log_refusal, refused};

// === impl Activator ===

impl Activator {
    pub(super) async fn take_order(&mut self, order: Order) {
        let Order { asked, change, answer } = order;
        let story = self.begin(asked.clone(), Instant::now());
        let outcome = if self.is_managed() && !asked.break_glass {
            let error = OrderError::Managed;
            let to = match &change {
                LocalChange::Load(source) => Some(self.wanted(ConfigDigest::of(source), None, None)),
                LocalChange::Revert => None,
            };
            let told = self.not_tried(story, to, &error).await;
            Err(error.told(told))
        } else {
            match change {
                LocalChange::Load(source) => self.load(story, &asked, source).await,
                LocalChange::Revert => self.revert(story).await,
            }
        };
        self.answer(answer, outcome);
    }

    /// Gives the gateway back to its control plane.
    pub(super) async fn unpin(&mut self, unpin: Unpin) {
        let Unpin { asked, answer } = unpin;
        let outcome = if self.record.pinned {
            let next = Record { pinned: false, ..self.record.clone() };
            self.keep(next).await.map_err(OrderError::Refused)
        } else {
            Ok(())
        };
        if outcome.is_ok() {
            let Asked { actor, reason, .. } = asked;
            tracing::info!(actor, reason, "unpinned: the control plane says again what runs");
        }
        self.answer(answer, outcome);
    }

    /// Those that wait when the gateway ends are not begun.
    pub(super) async fn turn_away(&mut self) {
        self.events.close();
        let (mut stories, mut answers) = (Vec::new(), Vec::new());
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Ordered(Order { asked, change: _, answer }) => {
                    stories.push(self.begin(asked, Instant::now()));
                    answers.push(answer);
                }
                Event::Unpinned(Unpin { answer, .. }) => {
                    let _ = answer.send(Err(OrderError::Stopping));
                }
                Event::Offered(_) | Event::Confirmed { .. } => {}
            }
        }
        let told = self.none_tried(stories, &OrderError::Stopping).await;
        for answer in answers {
            let _ = answer.send(Err(OrderError::Stopping.told(told.clone())));
        }
    }

    /// These bytes, read on this host, through every stage.
    async fn load(
        &mut self,
        story: Story,
        asked: &Asked,
        source: Vec<u8>,
    ) -> Result<HistoryRecord, OrderError> {
        let digest = ConfigDigest::of(&source);
        if let Some(live) = self.parts.live.snapshot()
            && live.digest == digest
            // A target that lacks its key makes identical bytes worth another activation.
            && live.targets_down.is_empty()
        {
            tracing::info!(version = %live.version, %digest, "no change: the file is the pack that runs");
            let mut next = self.record.clone();
            next.welcome(digest);
            next.wants_what_runs(Moment::now(&self.parts.clock));
            if next != self.record {
                self.record = next;
                self.keep_or_warn().await;
            }
            return Ok(self.changed_nothing(story).await);
        }
        let (outcome, version) = match self.prepare(digest, Some(source), MissingSecrets::Refuse).await {
            Ok(candidate) => {
                let version = Some(candidate.version.clone());
                let mut warnings = candidate.warnings.clone();
                if let Some(old) = &self.config {
                    let mut changes = lint_load(old, &candidate.config).findings;
                    PolicyDocument::new(candidate.source.as_slice()).locate(&mut changes);
                    warnings.extend(changes);
                }
                let purpose =
                    Purpose::Ordered { assigned: self.next_local(), leaves: None, gone: Vec::new() };
                (self.activate(candidate, purpose, &story, &warnings).await.map(|()| warnings), version)
            }
            Err(Refused { reason, version }) => (Err(reason), version),
        };
        match outcome {
            Ok(warnings) => Ok(self.succeeded(story, &warnings).await),
            Err(reason) => {
                let reason = capped(reason);
                let at = Moment::now(&self.parts.clock);
                let to = self.wanted(digest, version.as_ref(), None);
                self.record.wants(Desired { digest, version, generation: None, since: at });
                self.record.last_failure = Some(Failure { at, action: asked.action, reason: reason.clone() });
                self.keep_or_warn().await;
                log_refusal(digest, None, &reason);
                let told = self.refused_at(story, Some(to), &reason).await;
                Err(OrderError::Refused(reason).told(told))
            }
        }
    }

    async fn revert(&mut self, story: Story) -> Result<HistoryRecord, OrderError> {
        // What is left as the disk has it. The record forgets what is gone with the activation of another, not before.
        let mut left = self.record.clone();
        loop {
            match WayBack::of(&left) {
                WayBack::GiveUp { digest, version } => {
                    let mut next = self.record.clone();
                    next.give_up(digest, version.clone(), Moment::now(&self.parts.clock));
                    next.pinned |= self.is_managed();
                    let version = version.map_or_else(|| "a pack".to_owned(), |version| version.to_string());
                    let given_up = format!("{version} ({digest})");
                    next.untold = until_told(self.withdrawal(&next, &story, &given_up));
                    if let Err(reason) = self.keep(next).await {
                        return self.not_reverted(story, None, reason).await;
                    }
                    tracing::info!(%digest, version, "given up: what runs is what should");
                    return Ok(self.gave_up(story, &given_up).await);
                }
                WayBack::To(digest) => {
                    let ledger = Arc::clone(&self.parts.ledger);
                    let source = tokio::task::spawn_blocking(move || ledger.pack(digest)).await;
                    let unread = match source {
                        Ok(Ok(Some(source))) => return self.go_back(story, digest, source, left).await,
                        Ok(Ok(None)) => {
                            tracing::warn!(%digest, "a good pack is not on the disk any more; trying the one below");
                            left.kept.retain(|pack| pack.digest != digest);
                            continue;
                        }
                        Ok(Err(error)) => error.to_string(),
                        Err(_) => "the gateway is stopping".to_owned(),
                    };
                    let to = self.record.pack(digest).map(version);
                    let reason = refused(Stage::Storage, unread);
                    log_refusal(digest, None, &reason);
                    return self.not_reverted(story, to, reason).await;
                }
                WayBack::Nowhere => {
                    let error = OrderError::NothingToRevert;
                    let told = self.not_tried(story, None, &error).await;
                    return Err(error.told(told));
                }
            }
        }
    }

    /// Through the same stages: what it needs of this host may have gone since it ran.
    async fn go_back(
        &mut self,
        story: Story,
        digest: ConfigDigest,
        source: Vec<u8>,
        left: Record,
    ) -> Result<HistoryRecord, OrderError> {
        let to = self.record.pack(digest).map(version);
        let prepared = self.prepare(digest, Some(source), MissingSecrets::Refuse).await;
        let outcome = match prepared {
            Ok(candidate) => {
                let mut warnings = candidate.warnings.clone();
                warnings.extend(self.record.pack(digest).filter(|pack| !pack.is_good()).map(last_resort));
                // A control plane's pack that runs again does so for the assignment that it had.
                let central = self.record.pack(digest).and_then(|pack| pack.assigned);
                let assigned = central.filter(|_| self.is_managed()).unwrap_or_else(|| self.next_local());
                let gone = self.record.kept.iter().map(|pack| pack.digest);
                let gone = gone.filter(|digest| left.pack(*digest).is_none()).collect();
                let purpose = Purpose::Ordered { assigned, leaves: self.record.active, gone };
                self.activate(candidate, purpose, &story, &warnings).await.map(|()| warnings)
            }
            Err(Refused { reason, .. }) => Err(reason),
        };
        match outcome {
            Ok(warnings) => Ok(self.succeeded(story, &warnings).await),
            Err(reason) => {
                log_refusal(digest, None, &reason);
                self.not_reverted(story, to, reason).await
            }
        }
    }

    async fn not_reverted(
        &mut self,
        story: Story,
        to: Option<Version>,
        reason: NackReason,
    ) -> Result<HistoryRecord, OrderError> {
        let reason = capped(reason);
        let told = self.refused_at(story, to, &reason).await;
        Err(OrderError::Refused(reason).told(told))
    }

    /// Packs come from a control plane: orders of this host have to break the glass.
    pub(super) fn is_managed(&self) -> bool {
        self.parts.ledger.owner().fleet.is_some()
    }

    /// The assignment of an order. Under a control plane its generations are left alone.
    fn next_local(&self) -> (Lineage, Generation) {
        let highest = self.record.highest.filter(|_| self.record.lineage == Some(Lineage::LOCAL));
        let next = highest.map_or(Generation::FIRST, |highest| Generation(highest.0.saturating_add(1)));
        (Lineage::LOCAL, next)
    }

    /// What is changed here is seen before who asked for it hears of it. They may have gone: it is logged all the same.
    fn answer<T>(&self, answer: oneshot::Sender<T>, outcome: T) {
        self.tell();
        let _ = answer.send(outcome);
    }
}
