//! One stream of one gateway: a select over what it says, its cell, confirmations, time and the drain. What is
//! offered and what an answer means is `fleet_core::delivery`'s.

mod offering;
mod opening;
mod settling;

use std::sync::Arc;
use std::time::Duration;

use fleet_core::delivery::Delivery;
use fleet_core::gateway::GatewayPath;
use fleet_core::ids::{GatewayId, Lineage};
use fleet_core::offer::Acknowledgement;
use fleet_core::time::Timestamp;
use fleet_core::version::DesiredVersion;
use proto::convert::reports::{ReportMessage, Running};
use proto::convert::scalars::wire_duration;
use proto::v1::from_agent;
use proto::v1::to_agent::Message as ToAgent;
use proto::{WireError, v1};
use service_kit::bucket::Bucket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

use super::Hub;
use super::outbound::{End, Outbound};
use super::presence::Fence;
use super::reports::{Confirm, Confirmed};
use super::sessions::Seat;
use crate::api::call_error::CallError;
use crate::api::limits::{self, MESSAGES};
use crate::api::status;
use crate::operations::{Answered, ReportRecord, RunningPack};
pub(crate) use settling::Agent;
use settling::{Change, Settling};

/// Reports of one stream that wait to be written; a stream that says more is not heard until some are.
const UNCONFIRMED: usize = 8;
/// A stream without any message for so long has a peer that does not work.
const SILENCE: Duration = Duration::from_secs(60);
/// Streams that are sent away come back spread over this time.
const RETURN_WITHIN_MILLIS: u64 = 3_000;

/// A stream after its Welcome.
struct Session {
    hub: Arc<Hub>,
    gateway: GatewayId,
    path: GatewayPath,
    fence: Fence,
    agent_version: String,
    seat: Seat,
    delivery: Delivery,
    settling: Settling,
    cell: watch::Receiver<Option<DesiredVersion>>,
    confirm: mpsc::Sender<Confirmed>,
    confirmed: mpsc::Receiver<Confirmed>,
    last_heard: Instant,
    /// What it may still say without a pause.
    messages: Bucket,
    /// When it is old; it ends at the next moment without an open offer or an unconfirmed report.
    ends_at: Instant,
    /// It ended because it was old: its gateway is not away, but on its way back.
    returns: bool,
    /// Not before this is an offer tried again.
    retry_at: Option<Instant>,
}

/// The life of a stream. `sender` is what its peer reads.
pub(crate) async fn run(
    hub: Arc<Hub>,
    agent: Agent,
    mut inbound: Streaming<v1::FromAgent>,
    sender: mpsc::Sender<Result<v1::ToAgent, Status>>,
) {
    let outbound = Outbound::new(sender);
    let path = &agent.path;
    let end = match opening::open(&hub, &agent, &mut inbound, &outbound).await {
        Ok(mut session) => {
            tracing::info!(gateway = %path, session = %session.seat.session, "attached");
            let end = session.live(&mut inbound, &outbound).await;
            session.leave();
            end
        }
        Err(end) => end,
    };
    match &end {
        End::Quiet => tracing::info!(gateway = %path, "detached"),
        End::Told(status) => {
            tracing::info!(gateway = %path, code = ?status.code(), reason = status.message(), "stream ended");
        }
    }
    hub.board.forget(agent.gateway);
    outbound.end(end).await;
}

// === impl Session ===

impl Session {
    async fn live(&mut self, inbound: &mut Streaming<v1::FromAgent>, outbound: &Outbound) -> End {
        let drain = self.hub.drain.clone();
        loop {
            if let Err(end) = self.offer(outbound).await {
                return end;
            }
            if self.is_idle() && Instant::now() >= self.ends_at {
                self.returns = true;
                // The ages are spread, so the streams need not be.
                return send_away(outbound, Duration::ZERO, &CallError::Aged).await;
            }
            let look_again = self.look_again();
            let step = tokio::select! {
                biased;
                () = self.seat.displaced() => Err(CallError::NewerSession.into()),
                () = drain.signaled() => {
                    // Spread, or all would come back at once.
                    let retry_after = Duration::from_millis(fastrand::u64(0..RETURN_WITHIN_MILLIS));
                    Err(send_away(outbound, retry_after, &CallError::Draining).await)
                }
                () = outbound.closed() => Err(End::Quiet),
                message = inbound.message() => self.hear(message),
                confirmed = self.confirmed.recv() => match confirmed {
                    Some(confirmed) => offering::confirm(outbound, confirmed).await,
                    None => Err(End::Quiet),
                },
                change = self.settling.next() => change.map(|change| self.settle(change)),
                changed = self.cell.changed() => changed.map_err(|_| End::Quiet),
                () = sleep_until(look_again) => self.on_time(),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn hear(&mut self, message: Result<Option<v1::FromAgent>, Status>) -> Result<(), End> {
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => return Err(End::Quiet),
            Err(failed) => return Err(hung_up_or(&failed)),
        };
        self.last_heard = Instant::now();
        if self.messages.take(MESSAGES, self.last_heard).is_err() {
            return Err(limits::counted("messages", CallError::TooManyMessages).into());
        }
        self.seen();
        match message.message {
            None => Err(CallError::from(WireError::missing("message")).into()),
            Some(from_agent::Message::Hello(_)) => Err(CallError::SecondHello.into()),
            Some(from_agent::Message::Report(report)) => {
                let report = ReportMessage::try_from(report).map_err(CallError::from)?;
                self.on_report(report);
                Ok(())
            }
            Some(from_agent::Message::Heartbeat(heartbeat)) => self.on_heartbeat(heartbeat),
        }
    }

    fn on_report(&mut self, report: ReportMessage) {
        if report.lineage == self.delivery.lineage() {
            let acked = matches!(report.acknowledgement, Acknowledgement::Ack { .. });
            let held = report.active.as_ref().map(|running| running.held);
            self.delivery.on_acknowledgement(report.offer, report.generation, acked, held);
            metrics::counter!(crate::metrics::REPORTS, "outcome" => if acked { "ack" } else { "nack" })
                .increment(1);
        }
        self.record(report);
    }

    /// What a heartbeat says of another session is of the past.
    fn on_heartbeat(&mut self, heartbeat: v1::Heartbeat) -> Result<(), End> {
        if heartbeat.session_id != self.seat.session.to_string() {
            return Ok(());
        }
        let active = heartbeat.active.map(Running::try_from).transpose().map_err(CallError::from)?;
        let held = active.as_ref().map(|running| running.held);
        if held.is_some() && held != self.delivery.held() {
            // Its report was lost, or has not come yet: what it runs is the truth.
            if self.settling.is_settled() {
                self.hub.reports.heard(self.record_of(None, active), None);
            } else {
                self.settling.waiting.running = active;
            }
        }
        self.delivery.on_observed(held);
        Ok(())
    }

    /// Hands a report to be written. Of another lineage it means nothing here: confirmed, so that it is not repeated.
    fn record(&mut self, report: ReportMessage) {
        if !self.settling.is_settled() && report.lineage == self.delivery.lineage() {
            self.settling.waiting.keep(report);
            return;
        }
        let confirmed =
            Confirmed { session: report.session, offer: report.offer, generation: report.generation };
        // Without a place it is not heard: the agent says it again.
        let Ok(told) = self.confirm.clone().try_reserve_owned() else { return };
        if report.lineage != self.delivery.lineage() {
            told.send(confirmed);
        } else {
            let answered = Answered {
                generation: report.generation,
                digest: report.digest,
                acknowledgement: report.acknowledgement,
                ago: report.age,
                validate: Some(report.timings.validate),
                activate: Some(report.timings.activate),
            };
            let record = self.record_of(Some(answered), report.active);
            if !self.hub.reports.heard(record, Some(Confirm { told, confirmed })) {
                tracing::warn!(gateway = %self.path, "the queue of reports is full; the agent will repeat it");
            }
        }
    }

    fn record_of(&self, answered: Option<Answered>, running: Option<Running>) -> ReportRecord {
        ReportRecord {
            gateway: self.gateway,
            boot: self.fence.boot,
            session_counter: self.fence.counter,
            lineage: self.delivery.lineage(),
            agent_version: self.agent_version.clone(),
            answered,
            running: running.map(|running| RunningPack {
                generation: running.held.generation,
                digest: running.held.digest,
                version: running.version.to_string(),
                ago: running.age,
                from_hello: false,
            }),
        }
    }

    /// The database went away, or is back and gets what waited for it.
    fn settle(&mut self, change: Change) {
        let (observed, refusal) = match change {
            Change::Away => return,
            Change::Known => (None, None),
            Change::Attached(outcome) => {
                tracing::info!(gateway = %self.path, session = %self.seat.session, "attached from memory, now for good");
                if let Some(desired) = outcome.desired {
                    self.hub.board.fill(self.gateway, desired);
                }
                (outcome.observed, outcome.refusal)
            }
        };
        let waiting = std::mem::take(&mut self.settling.waiting);
        if let Some(refusal) = refusal {
            let (boot, presumed) = (self.fence.boot, waiting.presumed);
            self.delivery.on_stored_refusal(&refusal, boot, &self.agent_version, presumed);
        }
        self.seen();
        for report in waiting.reports {
            self.record(report);
        }
        if let Some(running) = waiting.running
            && observed != Some(running.held)
        {
            self.hub.reports.heard(self.told_at_the_opening(Some(running)), None);
        }
    }

    /// What runs as a stream opens is the truth, even where it is less than what ran before.
    fn told_at_the_opening(&self, running: Option<Running>) -> ReportRecord {
        let mut record = self.record_of(None, running);
        if let Some(running) = &mut record.running {
            running.from_hello = true;
        }
        record
    }

    /// It is there, and the database may hear of it.
    fn seen(&self) {
        if self.settling.is_settled() {
            self.hub.presence.seen(self.gateway, self.fence);
        }
    }

    fn on_time(&mut self) -> Result<(), End> {
        if let Some(open) = self.delivery.on_silence(self.now()) {
            tracing::warn!(gateway = %self.path, generation = %open.desired.generation, "no answer to an offer in time");
        }
        if self.last_heard.elapsed() >= SILENCE { Err(CallError::SilentPeer(SILENCE).into()) } else { Ok(()) }
    }

    /// Nothing is under way that an end of the stream would interrupt.
    fn is_idle(&self) -> bool {
        self.delivery.open_offer().is_none() && self.confirm.capacity() == UNCONFIRMED
    }

    /// The next time something is due without being told.
    fn look_again(&self) -> Instant {
        let silent = self.last_heard + SILENCE;
        let aged = self.is_idle().then_some(self.ends_at);
        let unanswered =
            self.delivery.open_offer().map(|open| Instant::now() + open.deadline.since(self.now()));
        [unanswered, self.retry_at, aged].into_iter().flatten().fold(silent, Instant::min)
    }

    /// Tells that the stream ended, unless a newer one has taken over or will in a moment: a rollout that begins
    /// meanwhile is for this gateway too. Should it not come, its silence tells.
    fn leave(&self) {
        if self.seat.is_newest() && !self.returns {
            self.hub.presence.left(self.gateway, self.fence);
        }
    }

    fn now(&self) -> Timestamp {
        now(&self.hub)
    }
}

// === impl Confirmed ===

impl From<Confirmed> for v1::ReportAck {
    fn from(confirmed: Confirmed) -> Self {
        Self {
            session_id: confirmed.session.to_string(),
            offer_id: confirmed.offer.to_string(),
            generation: confirmed.generation.0,
        }
    }
}

/// The last word of a stream that is to be opened again.
async fn send_away(outbound: &Outbound, retry_after: Duration, why: &CallError) -> End {
    let reconnect = v1::Reconnect { retry_after: Some(wire_duration(retry_after)), reason: why.to_string() };
    let _ = outbound.send(ToAgent::Reconnect(reconnect)).await;
    End::Quiet
}

/// A stream that breaks off is a hang-up; anything else is told.
fn hung_up_or(failed: &Status) -> End {
    match failed.code() {
        tonic::Code::Cancelled | tonic::Code::Unknown | tonic::Code::Unavailable => End::Quiet,
        _ => status::of_transport(failed).into(),
    }
}

fn now(hub: &Hub) -> Timestamp {
    let micros = hub.context.clock.now().unix_timestamp_nanos() / 1_000;
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The agent's lineage and the control plane's may differ: see `Delivery::open`.
fn lineage(hub: &Hub) -> Lineage {
    hub.context.store.lineage()
}
