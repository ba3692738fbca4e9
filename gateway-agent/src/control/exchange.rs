//! One stream: hello with the standing, offers in, reports and heartbeats out. A report is repeated
//! until the control plane confirmed it.
//!
//! It holds nothing that must survive it: what is unconfirmed is in the Activator's record.

mod ended;
mod opening;

use std::time::Duration;

use fleet_core::ids::{Lineage, OfferId, SessionId};
use fleet_core::offer::Acknowledgement;
use policy_config::ConfigDigest;
use proto::convert::findings::{wire_findings, wire_refusal};
use proto::convert::offers::OfferMessage;
use proto::v1;
use service_kit::bucket::{Bucket, Rate};
use service_kit::clock::Clock;
use service_kit::failpoint;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::transport::Channel;

pub(super) use ended::Ended;
use ended::{ended_by, lost, refused, sent_away};
pub(super) use opening::Opening;
use opening::{hello, open};

use crate::activation::handle::{ActivatorHandle, Event, Offered, Validated};
use crate::activation::record::Record;

/// A welcomed stream.
struct Exchange<'a> {
    activator: &'a ActivatorHandle,
    clock: &'a Clock,
    outbound: mpsc::Sender<v1::FromAgent>,
    validated: mpsc::Sender<Validated>,
    session: SessionId,
    lineage: Lineage,
    /// An offer whose bytes are still to come; a newer offer takes its place.
    awaiting_parcel: Option<(OfferMessage, Instant)>,
    /// The last report that was sent, and when.
    reported: Option<(OfferId, Instant)>,
}

/// From the dial to the welcome.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
const REPEAT_REPORT: Duration = Duration::from_secs(3);
const LOOK_AT_REPORT: Duration = Duration::from_millis(500);
/// For the control plane to end its half after we ended ours.
const GOODBYE: Duration = Duration::from_secs(1);
/// What a control plane says to one gateway: an offer with its bytes, and a confirmation, as often as packs change.
/// A message counts once, and again for each [`WEIGHT`] of its bytes: the largest pack nine times.
const MESSAGES: Rate = Rate { burst: 300.0, per_second: 200.0 };
const WEIGHT: usize = 32 * 1024;
/// Messages that may wait for a slow peer. A report or heartbeat beyond it is not sent, but repeated later.
const OUTBOUND: usize = 16;

/// Opens a stream and serves it to its end.
pub(super) async fn run(channel: Channel, opening: Opening<'_>) -> Ended {
    let (outbound, requests) = mpsc::channel(OUTBOUND);
    let drain = opening.drain;
    let hello = hello(&opening);
    let told = (hello.pinned, hello.local.as_ref().map(|pack| pack.digest));
    let reported = hello.unconfirmed.as_ref().map(|report| (report.offer, Instant::now()));
    // Before the call: some servers answer with headers only after the first message.
    if outbound.try_send(from_agent(v1::from_agent::Message::Hello(hello.into()))).is_err() {
        return lost("the stream could not be opened", None);
    }
    let opened = tokio::select! {
        () = drain.signaled() => return Ended::Draining,
        opened = tokio::time::timeout(WELCOME_TIMEOUT, open(channel, &opening, requests)) => opened,
    };
    let (mut inbound, welcomed) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(ended)) => return ended,
        Err(_) => return lost("the control plane did not answer the hello in time", None),
    };
    let welcomed_at = Instant::now();
    opening.connected.send_replace(true);
    tracing::info!(gateway = welcomed.gateway, session = %welcomed.session, "link up");
    let (validated, mut answers) = mpsc::channel(1);
    let mut exchange = Exchange {
        activator: opening.activator,
        clock: opening.clock,
        outbound,
        validated,
        session: welcomed.session,
        lineage: welcomed.lineage,
        awaiting_parcel: None,
        reported,
    };
    let mut records = opening.activator.watch();
    let mut heartbeat = ticker(welcomed.heartbeat);
    let mut look = ticker(LOOK_AT_REPORT);
    let mut messages = Bucket::full(MESSAGES, Instant::now());
    loop {
        tokio::select! {
            () = drain.signaled() => break,
            message = inbound.message() => match message {
                Ok(Some(message)) => {
                    if messages.take_many(weight(&message), MESSAGES, Instant::now()).is_err() {
                        let problem = "the control plane says more than a gateway listens to";
                        return refused(problem, Some(welcomed_at));
                    }
                    if let Some(ended) = exchange.receive(message).await {
                        return ended;
                    }
                }
                Ok(None) => return lost("the control plane closed the stream", Some(welcomed_at)),
                Err(status) => return ended_by(&status, Some(welcomed_at)),
            },
            changed = records.changed() => {
                if changed.is_err() {
                    break;
                }
                exchange.report().await;
                if on_host(&opening.activator.record()) != told {
                    return Ended::Repinned;
                }
            }
            _ = look.tick() => {
                exchange.report().await;
                // It may have changed before the record was watched.
                if on_host(&opening.activator.record()) != told {
                    return Ended::Repinned;
                }
            }
            _ = heartbeat.tick() => exchange.beat(),
            Some(answer) = answers.recv() => exchange.answer(&answer),
        }
    }
    drop(exchange);
    let goodbye = async { while let Ok(Some(_)) = inbound.message().await {} };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    Ended::Draining
}

/// What a hello says of changes of this host: whether it is pinned, and what runs that was not assigned.
fn on_host(record: &Record) -> (bool, Option<ConfigDigest>) {
    (record.pinned, record.active_pack().filter(|pack| pack.is_local()).map(|pack| pack.digest))
}

// === impl Exchange ===

impl Exchange<'_> {
    /// One message of the control plane; `Some` when it ends the stream.
    async fn receive(&mut self, message: v1::ToAgent) -> Option<Ended> {
        match message.message {
            Some(v1::to_agent::Message::Offer(offer)) => self.take_offer(offer).await,
            Some(v1::to_agent::Message::Parcel(parcel)) => self.take_parcel(parcel).await,
            Some(v1::to_agent::Message::ReportAck(ack)) => match ack.offer_id.parse() {
                Ok(offer) => self.tell(Event::Confirmed { offer }).await,
                Err(_) => {
                    tracing::warn!("a confirmation without a valid offer id is ignored");
                    None
                }
            },
            Some(v1::to_agent::Message::Reconnect(reconnect)) => Some(sent_away(reconnect)),
            Some(v1::to_agent::Message::Welcome(_)) => {
                tracing::warn!("a second welcome on one stream is ignored");
                None
            }
            // A newer control plane may know messages that this version does not.
            None => None,
        }
    }

    async fn take_offer(&mut self, offer: v1::Offer) -> Option<Ended> {
        let received = Instant::now();
        let offer = match OfferMessage::try_from(offer) {
            Ok(offer) if offer.session == self.session => offer,
            Ok(_) => {
                tracing::debug!("an offer of another session is ignored");
                return None;
            }
            Err(error) => {
                tracing::warn!(%error, "an offer that is not valid is ignored");
                return None;
            }
        };
        if offer.parcel_follows {
            self.awaiting_parcel = Some((offer, received));
            return None;
        }
        self.awaiting_parcel = None;
        self.pass_on(offer, None, received).await
    }

    async fn take_parcel(&mut self, parcel: v1::Parcel) -> Option<Ended> {
        let digest: Option<ConfigDigest> = parcel.digest.parse().ok();
        match self.awaiting_parcel.take() {
            Some((offer, received)) if digest == Some(offer.offer.digest) => {
                self.pass_on(offer, Some(parcel.source.to_vec()), received).await
            }
            other => {
                tracing::debug!("a parcel that no open offer announced is ignored");
                self.awaiting_parcel = other;
                None
            }
        }
    }

    async fn pass_on(
        &self,
        message: OfferMessage,
        source: Option<Vec<u8>>,
        received: Instant,
    ) -> Option<Ended> {
        tracing::debug!(offer = %message.offer.id, digest = %message.offer.digest, "offer received");
        if failpoint::pass("offer.received").await.is_err() {
            return Some(lost("a test cut the link", None));
        }
        let validated = self.validated.clone();
        let offered = Offered { session: self.session, offer: message.offer, source, received, validated };
        self.tell(Event::Offered(offered)).await
    }

    async fn tell(&self, event: Event) -> Option<Ended> {
        self.activator.send(event).await.err().map(|_| Ended::Draining)
    }

    /// Sends the unconfirmed report when it is new, and again while it stays unconfirmed.
    async fn report(&mut self) {
        let record = self.activator.record();
        let Some(pending) = &record.unconfirmed else { return };
        let due =
            self.reported.is_none_or(|(offer, at)| offer != pending.offer || at.elapsed() >= REPEAT_REPORT);
        if due && failpoint::pass("report.before_send").await.is_ok() {
            let report = record.report(pending, self.clock);
            if self.send(v1::from_agent::Message::Report(report.into())) {
                self.reported = Some((pending.offer, Instant::now()));
                let _ = failpoint::pass("report.after_send").await;
            }
        }
    }

    fn beat(&self) {
        let active = self.activator.record().running_in(self.lineage, self.clock);
        self.send(v1::from_agent::Message::Heartbeat(v1::Heartbeat {
            session_id: self.session.to_string(),
            active: active.map(v1::Held::from),
        }));
    }

    /// The answer to a mere question: it has no generation, as the offer had none.
    fn answer(&self, answer: &Validated) {
        let outcome = match &answer.acknowledgement {
            Acknowledgement::Ack { warnings } => {
                v1::report::Outcome::Ack(v1::Acknowledged { warnings: wire_findings(warnings) })
            }
            Acknowledgement::Nack(reason) => v1::report::Outcome::Nack(wire_refusal(reason)),
        };
        let active = self.activator.record().running_in(self.lineage, self.clock);
        self.send(v1::from_agent::Message::Report(v1::Report {
            session_id: self.session.to_string(),
            offer_id: answer.offer.to_string(),
            digest: answer.digest.to_string(),
            outcome: Some(outcome),
            active: active.map(v1::Held::from),
            ..v1::Report::default()
        }));
    }

    /// False: the peer is slow, and this message is sent another time.
    fn send(&self, message: v1::from_agent::Message) -> bool {
        self.outbound.try_send(from_agent(message)).is_ok()
    }
}

/// What a message costs.
fn weight(message: &v1::ToAgent) -> f64 {
    let bytes = match &message.message {
        Some(v1::to_agent::Message::Parcel(parcel)) => parcel.source.len() + parcel.digest.len(),
        Some(v1::to_agent::Message::Offer(offer)) => {
            offer.session_id.len() + offer.offer_id.len() + offer.lineage.len() + offer.digest.len()
        }
        Some(v1::to_agent::Message::ReportAck(ack)) => ack.session_id.len() + ack.offer_id.len(),
        Some(v1::to_agent::Message::Welcome(welcome)) => welcome.gateway.len() + welcome.session_id.len(),
        // The last one of its stream, or one that this version does not know.
        Some(v1::to_agent::Message::Reconnect(_)) | None => 0,
    };
    1.0 + f64::from(u32::try_from(bytes / WEIGHT).unwrap_or(u32::MAX))
}

fn from_agent(message: v1::from_agent::Message) -> v1::FromAgent {
    v1::FromAgent { message: Some(message) }
}

/// The first tick comes after one period; ticks that were missed are not made up for.
fn ticker(period: Duration) -> tokio::time::Interval {
    let mut ticker = tokio::time::interval_at(Instant::now() + period, period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}
