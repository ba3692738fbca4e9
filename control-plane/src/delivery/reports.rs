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
    Heard { record: Box<ReportRecord>, confirm: Option<Confirm> },
}

/// Whom to tell that a report is durable.
#[derive(Debug)]
pub(crate) struct Confirm {
    pub(crate) told: mpsc::Sender<Confirmed>,
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
    heard: Vec<ReportRecord>,
    confirms: Vec<Confirm>,
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
        self.queue.try_send(Event::Heard { record: Box::new(record), confirm }).is_ok()
    }
}

// === impl Batch ===

impl Batch {
    fn add(&mut self, event: Event) {
        match event {
            Event::Sent(record) => self.sent.push(record),
            Event::Heard { record, confirm } => {
                self.heard.push(*record);
                self.confirms.extend(confirm);
            }
        }
    }

    fn len(&self) -> usize {
        self.sent.len() + self.heard.len()
    }

    async fn write(&self, context: &Context) -> Result<(), StoreError> {
        operations::record_sent(context, self.sent.clone()).await?;
        operations::record_reports(context, self.heard.clone()).await.map(drop)
    }

    /// A session that has ended, or does not read, is not waited for: its agent says it again.
    fn confirm(self) {
        for confirm in self.confirms {
            let _ = confirm.told.try_send(confirm.confirmed);
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
/// dropped, or it would hold up everybody.
async fn save(batch: Batch, context: &Context, drain: &DrainWatcher) {
    let mut pauses = Backoff::full_jitter(Duration::from_millis(50), LONGEST_PAUSE, fastrand::u64(..));
    let mut told = false;
    loop {
        match batch.write(context).await {
            Ok(()) => {
                metrics::histogram!(crate::metrics::REPORT_BATCH).record(count(batch.heard.len()));
                return batch.confirm();
            }
            Err(StoreError::Unavailable(_)) if !drain.is_draining() => {
                if !told {
                    tracing::warn!(reports = batch.heard.len(), "reports wait for the database");
                }
                told = true;
                tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
            Err(error) => {
                tracing::error!(%error, reports = batch.heard.len(), "reports cannot be recorded");
                return;
            }
        }
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
