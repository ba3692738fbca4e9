//! A control plane that the test plays message by message: it hears hellos, offers, and may go silent,
//! hang up or forget a credential.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet_core::ids::{Lineage, OfferId, SessionId};
use fleet_core::offer::{Intent, Offer};
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use proto::convert::hello::HelloMessage;
use proto::convert::offers::OfferMessage;
use proto::convert::reports::ReportMessage;
use proto::v1;
use proto::v1::delivery_service_server::{DeliveryService, DeliveryServiceServer};
use proto::v1::gateway_service_server::{GatewayService, GatewayServiceServer};
use service_kit::drain::{self, DrainTrigger};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::support::PATIENCE;

/// A server on port 0; its streams come out of it one by one.
pub(crate) struct ScriptedControlPlane {
    pub(crate) url: String,
    streams: mpsc::Receiver<AttachedAgent>,
    state: Arc<State>,
    _trigger: DrainTrigger,
}

/// One open stream, the control plane's end.
pub(crate) struct AttachedAgent {
    pub(crate) hello: HelloMessage,
    pub(crate) authorization: String,
    session: SessionId,
    inbound: Streaming<v1::FromAgent>,
    outbound: mpsc::Sender<Result<v1::ToAgent, Status>>,
}

#[derive(Default)]
struct State {
    enrolments: Mutex<Vec<(String, v1::EnrollRequest)>>,
    refuse_enrolment: Mutex<Option<Code>>,
    refusals: Mutex<usize>,
    forgotten: Mutex<bool>,
}

struct Service {
    state: Arc<State>,
    streams: mpsc::Sender<AttachedAgent>,
}

// === impl ScriptedControlPlane ===

impl ScriptedControlPlane {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, streams) = mpsc::channel(8);
        let state = Arc::new(State::default());
        let (trigger, watcher) = drain::channel();
        let service = Arc::new(Service { state: Arc::clone(&state), streams: sender });
        let router = tonic::transport::Server::builder()
            .add_service(DeliveryServiceServer::from_arc(Arc::clone(&service)))
            .add_service(GatewayServiceServer::from_arc(service));
        watcher.spawn("scripted control plane", router.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { url, streams, state, _trigger: trigger }
    }

    /// The next stream an agent opens, before its welcome.
    pub(crate) async fn attached(&mut self) -> AttachedAgent {
        tokio::time::timeout(PATIENCE, self.streams.recv()).await.expect("an agent attaches").unwrap()
    }

    pub(crate) fn enrolments(&self) -> Vec<(String, v1::EnrollRequest)> {
        self.state.enrolments.lock().unwrap().clone()
    }

    pub(crate) fn refuse_enrolment(&self, code: Option<Code>) {
        *self.state.refuse_enrolment.lock().unwrap() = code;
    }

    /// How many enrolments were refused.
    pub(crate) fn refusals(&self) -> usize {
        *self.state.refusals.lock().unwrap()
    }

    /// No credential given out so far is known any more; the next enrolment makes one that is.
    pub(crate) fn forget_credentials(&self) {
        *self.state.forgotten.lock().unwrap() = true;
    }
}

// === impl AttachedAgent ===

impl AttachedAgent {
    pub(crate) async fn welcome(&self, lineage: Lineage) {
        self.send(v1::to_agent::Message::Welcome(v1::Welcome {
            session_id: self.session.to_string(),
            heartbeat_interval: Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 }),
            lineage: lineage.to_string(),
            gateway_id: Uuid::from_u128(5).to_string(),
            gateway: "prod/edge-1".to_owned(),
        }))
        .await;
    }

    /// Offers these bytes, and sends them.
    pub(crate) async fn offer(&self, lineage: Lineage, generation: u64, source: &[u8]) -> OfferId {
        let digest = ConfigDigest::of(source);
        let offer = self.announce(lineage, generation, digest, true).await;
        self.parcel(digest, source).await;
        offer
    }

    /// The offer without its bytes.
    pub(crate) async fn announce(
        &self,
        lineage: Lineage,
        generation: u64,
        digest: ConfigDigest,
        parcel_follows: bool,
    ) -> OfferId {
        let intent = Intent::Activate { lineage, generation: Generation(generation) };
        self.announce_as(intent, digest, parcel_follows).await
    }

    pub(crate) async fn announce_as(
        &self,
        intent: Intent,
        digest: ConfigDigest,
        parcel_follows: bool,
    ) -> OfferId {
        let id = OfferId(Uuid::new_v4());
        let message = OfferMessage {
            session: self.session,
            offer: Offer { id, digest, intent },
            deadline: Duration::from_secs(20),
            parcel_follows,
        };
        self.send(v1::to_agent::Message::Offer(message.into())).await;
        id
    }

    pub(crate) async fn parcel(&self, digest: ConfigDigest, source: &[u8]) {
        let source = source.to_vec().into();
        self.send(v1::to_agent::Message::Parcel(v1::Parcel { digest: digest.to_string(), source })).await;
    }

    /// The next report, in core types; heartbeats are passed over.
    pub(crate) async fn report(&mut self) -> ReportMessage {
        self.wire_report().await.try_into().expect("a valid report")
    }

    pub(crate) async fn wire_report(&mut self) -> v1::Report {
        loop {
            if let v1::from_agent::Message::Report(report) = self.next().await {
                return report;
            }
        }
    }

    /// The next heartbeat; reports are passed over.
    pub(crate) async fn heartbeat(&mut self) -> v1::Heartbeat {
        loop {
            if let v1::from_agent::Message::Heartbeat(heartbeat) = self.next().await {
                return heartbeat;
            }
        }
    }

    /// Confirms a report.
    pub(crate) async fn confirm(&self, report: &ReportMessage) {
        self.send(v1::to_agent::Message::ReportAck(v1::ReportAck {
            session_id: self.session.to_string(),
            offer_id: report.offer.to_string(),
            generation: report.generation.0,
        }))
        .await;
    }

    /// The report to this offer, confirmed.
    pub(crate) async fn settle(&mut self, offer: OfferId) -> ReportMessage {
        loop {
            let report = self.report().await;
            if report.offer == offer {
                self.confirm(&report).await;
                return report;
            }
        }
    }

    pub(crate) async fn send_away(&self, retry_after: Duration) {
        let retry_after = Some(proto::convert::scalars::wire_duration(retry_after));
        let reason = "moving house".to_owned();
        self.send(v1::to_agent::Message::Reconnect(v1::Reconnect { retry_after, reason })).await;
    }

    /// Welcomes as it should not be done.
    pub(crate) async fn welcome_with(&self, lineage: Lineage, heartbeat: Option<prost_types::Duration>) {
        self.send(v1::to_agent::Message::Welcome(v1::Welcome {
            session_id: self.session.to_string(),
            heartbeat_interval: heartbeat,
            lineage: lineage.to_string(),
            ..v1::Welcome::default()
        }))
        .await;
    }

    /// False: the agent has ended the stream.
    pub(crate) async fn try_send(&self, message: v1::to_agent::Message) -> bool {
        self.outbound.send(Ok(v1::ToAgent { message: Some(message) })).await.is_ok()
    }

    /// A good offer of this stream, as it travels, to be spoiled.
    pub(crate) fn wire_offer(&self, lineage: Lineage, generation: u64, digest: ConfigDigest) -> v1::Offer {
        OfferMessage {
            session: self.session,
            offer: Offer {
                id: OfferId(Uuid::new_v4()),
                digest,
                intent: Intent::Activate { lineage, generation: Generation(generation) },
            },
            deadline: Duration::from_secs(20),
            parcel_follows: true,
        }
        .into()
    }

    pub(crate) async fn send(&self, message: v1::to_agent::Message) {
        self.outbound.send(Ok(v1::ToAgent { message: Some(message) })).await.expect("the agent is there");
    }

    /// Waits until the agent ended its half.
    pub(crate) async fn ended(&mut self) {
        let end = async { while let Ok(Some(_)) = self.inbound.message().await {} };
        tokio::time::timeout(PATIENCE, end).await.expect("the agent ends its stream");
    }

    async fn next(&mut self) -> v1::from_agent::Message {
        let message = tokio::time::timeout(PATIENCE, self.inbound.message()).await;
        message.expect("the agent speaks").expect("no error").expect("the stream is open").message.unwrap()
    }
}

// === impl Service ===

#[tonic::async_trait]
impl DeliveryService for Service {
    type AttachStream = ReceiverStream<Result<v1::ToAgent, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::FromAgent>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let authorization = authorization(request.metadata());
        let current = format!("Bearer kt_credential_{}", self.state.enrolments.lock().unwrap().len());
        if authorization != current || *self.state.forgotten.lock().unwrap() {
            return Err(Status::unauthenticated("this credential is not known"));
        }
        let mut inbound = request.into_inner();
        let Some(v1::from_agent::Message::Hello(hello)) = inbound.message().await?.and_then(|m| m.message)
        else {
            return Err(Status::invalid_argument("the first message is a hello"));
        };
        let hello = HelloMessage::try_from(hello).expect("a valid hello");
        let (outbound, stream) = mpsc::channel(16);
        let session = SessionId(Uuid::new_v4());
        let agent = AttachedAgent { hello, authorization, session, inbound, outbound };
        self.streams.send(agent).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

#[tonic::async_trait]
impl GatewayService for Service {
    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::EnrollResponse>, Status> {
        if let Some(code) = *self.state.refuse_enrolment.lock().unwrap() {
            *self.state.refusals.lock().unwrap() += 1;
            return Err(Status::new(code, "not today"));
        }
        let authorization = authorization(request.metadata());
        let request = request.into_inner();
        let (fleet, name) = (request.fleet.clone(), request.name.clone());
        let mut enrolments = self.state.enrolments.lock().unwrap();
        enrolments.push((authorization, request));
        *self.state.forgotten.lock().unwrap() = false;
        Ok(Response::new(v1::EnrollResponse {
            gateway_id: Uuid::from_u128(5).to_string(),
            credential: format!("kt_credential_{}", enrolments.len()),
            fleet,
            name,
        }))
    }

    async fn get_gateway(&self, _: Request<v1::GetGatewayRequest>) -> Result<Response<v1::Gateway>, Status> {
        Err(Status::unimplemented("an agent does not ask"))
    }

    async fn list_gateways(
        &self,
        _: Request<v1::ListGatewaysRequest>,
    ) -> Result<Response<v1::ListGatewaysResponse>, Status> {
        Err(Status::unimplemented("an agent does not ask"))
    }
}

fn authorization(metadata: &tonic::metadata::MetadataMap) -> String {
    metadata.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
