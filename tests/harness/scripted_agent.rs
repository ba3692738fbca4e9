//! An agent that speaks the delivery protocol line by line, and says wrong things when told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy_config::ConfigDigest;
use proto::v1;
use proto::v1::delivery_service_client::DeliveryServiceClient;
use proto::v1::from_agent;
use proto::v1::to_agent::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::operator::{Bearer, Operator};
use crate::plane::PATIENCE;

/// One stream.
pub struct Agent {
    say: mpsc::Sender<v1::FromAgent>,
    hear: Streaming<v1::ToAgent>,
    pub welcome: v1::Welcome,
}

/// An offer with the bytes that came with it.
#[derive(Debug)]
pub struct Offered {
    pub offer: v1::Offer,
    pub source: Option<String>,
}

// === impl Agent ===

impl Agent {
    /// Opens a stream, says this first and hears nothing yet.
    pub async fn open(plane: &Operator, credential: &Bearer, first: Option<from_agent::Message>) -> Self {
        let (say, said) = mpsc::channel(16);
        if let Some(message) = first {
            say.send(v1::FromAgent { message: Some(message) }).await.unwrap();
        }
        let mut client = DeliveryServiceClient::with_interceptor(plane.channel(), credential.clone());
        let hear = client.attach(ReceiverStream::new(said)).await.unwrap().into_inner();
        Self { say, hear, welcome: v1::Welcome::default() }
    }

    /// Opens a stream with this Hello and hears the Welcome.
    pub async fn attach(plane: &Operator, credential: &Bearer, hello: v1::Hello) -> Self {
        let mut agent = Self::open(plane, credential, Some(from_agent::Message::Hello(hello))).await;
        match agent.hear().await {
            Ok(Some(Message::Welcome(welcome))) => agent.welcome = welcome,
            other => panic!("expected a Welcome, heard {other:?}"),
        }
        agent
    }

    pub async fn say(&self, message: from_agent::Message) {
        self.say.send(v1::FromAgent { message: Some(message) }).await.unwrap();
    }

    /// False: the stream takes no more.
    pub async fn try_say(&self, message: from_agent::Message) -> bool {
        self.say.send(v1::FromAgent { message: Some(message) }).await.is_ok()
    }

    /// The next message; `None`: the stream ended well.
    pub async fn hear(&mut self) -> Result<Option<Message>, Status> {
        let message =
            tokio::time::timeout(PATIENCE, self.hear.message()).await.expect("a message in time")?;
        Ok(message.and_then(|message| message.message))
    }

    /// Hears nothing for a moment in which an offer would have come.
    pub async fn hears_nothing(&mut self) {
        if let Ok(heard) = tokio::time::timeout(Duration::from_millis(400), self.hear.message()).await {
            panic!("expected nothing, heard {heard:?}");
        }
    }

    /// The code with which the stream ends, whatever comes before.
    pub async fn end(&mut self) -> Code {
        self.end_status().await.map_or(Code::Ok, |status| status.code())
    }

    /// As [`Self::end`], with all that is told; `None`: it ended well.
    pub async fn end_status(&mut self) -> Option<Status> {
        loop {
            match self.hear().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }

    /// The next offer, with its parcel when one follows.
    pub async fn offered(&mut self) -> Offered {
        let offer = match self.hear().await {
            Ok(Some(Message::Offer(offer))) => offer,
            other => panic!("expected an Offer, heard {other:?}"),
        };
        let source = if offer.parcel_follows { Some(self.parcel(&offer.digest).await) } else { None };
        Offered { offer, source }
    }

    async fn parcel(&mut self, digest: &str) -> String {
        match self.hear().await {
            Ok(Some(Message::Parcel(parcel))) => {
                assert_eq!(parcel.digest, digest);
                assert_eq!(ConfigDigest::of(&parcel.source).to_string(), digest);
                String::from_utf8(parcel.source.to_vec()).unwrap()
            }
            other => panic!("expected a Parcel, heard {other:?}"),
        }
    }

    /// Answers an offer and waits until that is confirmed.
    pub async fn ack(&mut self, offer: &v1::Offer) {
        self.report(self.acked(offer)).await;
    }

    pub async fn report(&mut self, report: v1::Report) {
        let (offer_id, generation) = (report.offer_id.clone(), report.generation);
        self.say(from_agent::Message::Report(report)).await;
        let confirmed = self.confirmed().await;
        assert_eq!((confirmed.offer_id, confirmed.generation), (offer_id, generation));
    }

    pub async fn confirmed(&mut self) -> v1::ReportAck {
        match self.hear().await {
            Ok(Some(Message::ReportAck(confirmed))) => confirmed,
            other => panic!("expected a ReportAck, heard {other:?}"),
        }
    }

    pub fn acked(&self, offer: &v1::Offer) -> v1::Report {
        report(offer, v1::report::Outcome::Ack(v1::Acknowledged::default()), Some(held(offer)))
    }

    pub fn nacked(&self, offer: &v1::Offer, stage: v1::Stage, active: Option<v1::Held>) -> v1::Report {
        let refusal = v1::Refusal {
            stage: stage.into(),
            reason: "the variable OPENAI_API_KEY is not set".into(),
            findings: vec![v1::Finding {
                code: "S001".into(),
                severity: v1::Severity::Error.into(),
                path: "providers.targets[0]".into(),
                line: 7,
                column: 3,
                message: "no value".into(),
                suggestion: String::new(),
            }],
        };
        report(offer, v1::report::Outcome::Nack(refusal), active)
    }
}

/// A Hello of a fresh start that holds nothing.
pub fn hello() -> v1::Hello {
    v1::Hello {
        boot_id: Uuid::new_v4().to_string(),
        session_counter: next_counter(),
        agent_version: "0.1.0".into(),
        max_config_bytes: 262_144,
        ..Default::default()
    }
}

/// What an agent runs that took this offer.
pub fn held(offer: &v1::Offer) -> v1::Held {
    v1::Held {
        generation: offer.generation,
        digest: offer.digest.clone(),
        version: "0.1.0".into(),
        age: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
    }
}

fn report(offer: &v1::Offer, outcome: v1::report::Outcome, active: Option<v1::Held>) -> v1::Report {
    v1::Report {
        session_id: offer.session_id.clone(),
        offer_id: offer.offer_id.clone(),
        lineage: offer.lineage.clone(),
        generation: offer.generation,
        digest: offer.digest.clone(),
        outcome: Some(outcome),
        active,
        age: Some(prost_types::Duration::default()),
        timings: None,
    }
}

/// Grows with every call of the process, as the counter of an agent's streams does.
pub fn next_counter() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    COUNTER.fetch_add(1, Ordering::Relaxed)
}
