//! Gathers what sessions sent and heard for some milliseconds and writes it in one transaction; then each session
//! confirms its reports. Offers and answers go through one queue, so that an answer is never written before its offer.

use std::time::Duration;

use service_kit::backoff::Backoff;
use service_kit::drain::DrainWatcher;
use tokio::sync::mpsc;
use tokio::time::Instant;

use fleet_core::ids::{OfferId, SessionId};
use fleet_core::version::Generation;

use crate::operations::{self, Context, ReportRecord, SentOffer};
use crate::store::StoreError;

/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(20);
const MAX_BATCH: usize = 500;
/// More than this waits nowhere: the agents repeat what was not confirmed.
const QUEUE: usize = 4_096;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The way into the queue.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    queue: mpsc::Sender<Event>,
}

/// The queue's other end, for its one owner.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: mpsc::Receiver<Event>,
}

#[derive(Debug)]
enum Event {
    Sent(SentOffer),
    Heard(Box<Heard>),
}

#[derive(Debug)]
struct Heard {
    record: ReportRecord,
    confirm: Option<Confirm>,
}

/// Whom to tell that a report is durable.
#[derive(Debug)]
pub(crate) struct Confirm {
    /// A place that its session keeps for it: so no session has more reports in the queue than places.
    pub(crate) told: mpsc::OwnedPermit<Confirmed>,
    pub(crate) confirmed: Confirmed,
}

/// A report that is durable: as its sender named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) session: SessionId,
    pub(crate) offer: OfferId,
    pub(crate) generation: Generation,
}

#[derive(Debug, Default)]
struct Batch {
    sent: Vec<SentOffer>,
    heard: Vec<Heard>,
}

pub(crate) fn channel() -> (Reports, Inbox) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Reports { queue: sender }, Inbox { queue: receiver })
}

// === impl Reports ===

impl Reports {
    /// Notes that an offer is on its way. When the queue is full this is lost, and costs an unmarked offer.
    pub(crate) fn sent(&self, record: SentOffer) {
        if self.queue.try_send(Event::Sent(record)).is_err() {
            tracing::debug!("the queue of reports is full; an offer stays unmarked");
        }
    }

    /// Hands a report over; `false`: the queue is full, and the agent will say it again.
    pub(crate) fn heard(&self, record: ReportRecord, confirm: Option<Confirm>) -> bool {
        self.queue.try_send(Event::Heard(Box::new(Heard { record, confirm }))).is_ok()
    }
}

// === impl Batch ===

impl Batch {
    fn add(&mut self, event: Event) {
        match event {
            Event::Sent(record) => self.sent.push(record),
            Event::Heard(heard) => self.heard.push(*heard),
        }
    }

    fn len(&self) -> usize {
        self.sent.len() + self.heard.len()
    }

    async fn write(&self, context: &Context) -> Result<(), StoreError> {
        operations::record_sent(context, self.sent.clone()).await?;
        let records = self.heard.iter().map(|heard| heard.record.clone()).collect();
        operations::record_reports(context, records).await.map(drop)
    }

    /// Two smaller ones, to be written in this order: an answer is never written before its offer.
    fn halves(mut self) -> [Self; 2] {
        if self.heard.is_empty() {
            let sent = self.sent.split_off(self.sent.len() / 2);
            [self, Self { sent, heard: Vec::new() }]
        } else if self.sent.is_empty() {
            let heard = self.heard.split_off(self.heard.len() / 2);
            [self, Self { sent: Vec::new(), heard }]
        } else {
            let heard = std::mem::take(&mut self.heard);
            [self, Self { sent: Vec::new(), heard }]
        }
    }

    fn confirm(self) {
        for confirm in self.heard.into_iter().filter_map(|heard| heard.confirm) {
            confirm.told.send(confirm.confirmed);
        }
    }
}

/// Writes until the drain begins, then what is in the queue, and ends.
pub(crate) async fn run(mut inbox: Inbox, context: Context, drain: DrainWatcher) {
    loop {
        let first = tokio::select! {
            event = inbox.queue.recv() => event,
            () = drain.signaled() => inbox.queue.try_recv().ok(),
        };
        let Some(first) = first else { return };
        let mut batch = Batch::default();
        batch.add(first);
        gather(&mut inbox, &mut batch, &drain).await;
        save(batch, &context, &drain).await;
    }
}

async fn gather(inbox: &mut Inbox, batch: &mut Batch, drain: &DrainWatcher) {
    let until = Instant::now() + GATHER;
    while batch.len() < MAX_BATCH {
        let next = tokio::select! {
            event = inbox.queue.recv() => event,
            () = tokio::time::sleep_until(until) => None,
            () = drain.signaled() => inbox.queue.try_recv().ok(),
        };
        match next {
            Some(event) => batch.add(event),
            None => return,
        }
    }
}

/// Tries until it is written: the reports behind wait in the bounded queue. What the store refuses for good is
/// dropped, or it would hold up everybody; of a batch only the events that are to blame.
async fn save(batch: Batch, context: &Context, drain: &DrainWatcher) {
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        if let Some(refused) = try_save(part, context, drain).await {
            parts.extend(refused.halves().into_iter().rev());
        }
    }
}

/// Gives back a batch that the store refuses for good.
async fn try_save(batch: Batch, context: &Context, drain: &DrainWatcher) -> Option<Batch> {
    let mut pauses = Backoff::full_jitter(Duration::from_millis(50), LONGEST_PAUSE, fastrand::u64(..));
    let mut told = false;
    loop {
        match batch.write(context).await {
            Ok(()) => {
                metrics::histogram!(crate::metrics::REPORT_BATCH).record(count(batch.heard.len()));
                batch.confirm();
                return None;
            }
            Err(StoreError::Unavailable(_)) if !drain.is_draining() => {
                if !told {
                    tracing::warn!(reports = batch.heard.len(), "reports wait for the database");
                }
                told = true;
                if context.store.away().is_some() {
                    tokio::select! {
                        () = drain.signaled() => {}
                        () = context.store.until_there() => {}
                    }
                    pauses.reset();
                }
                tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
            Err(StoreError::Unavailable(error)) => {
                tracing::warn!(%error, reports = batch.heard.len(), "reports are left to be repeated");
                return None;
            }
            Err(error) if batch.len() == 1 => {
                let gateway = batch.heard.first().map(|heard| heard.record.gateway.to_string());
                tracing::error!(%error, gateway, "a report cannot be recorded");
                return None;
            }
            Err(_) => return Some(batch),
        }
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use fleet_core::ids::GatewayId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn halves_end_in_single_events_with_offers_first() {
        let sent = |number| SentOffer {
            gateway: GatewayId(Uuid::from_u128(number)),
            generation: Generation(1),
            deadline: GATHER,
        };
        let record = ReportRecord {
            gateway: GatewayId(Uuid::from_u128(9)),
            boot: fleet_core::ids::BootId(Uuid::nil()),
            session_counter: 1,
            lineage: fleet_core::ids::Lineage::LOCAL,
            agent_version: String::new(),
            answered: None,
            running: None,
        };
        let mut parts = vec![Batch {
            sent: (0..5).map(sent).collect(),
            heard: (0..3).map(|_| Heard { record: record.clone(), confirm: None }).collect(),
        }];
        let mut singles = Vec::new();
        while let Some(part) = parts.pop() {
            if part.len() == 1 {
                singles.push(part.sent.first().map(|sent| sent.gateway.0.as_u128()));
            } else {
                parts.extend(part.halves().into_iter().rev());
            }
        }
        assert_eq!(singles, [Some(0), Some(1), Some(2), Some(3), Some(4), None, None, None]);
    }
}
