//! What an operator asks of a control plane, wherever that one runs; and calls with the credential of a choice.

use std::time::Duration;

use proto::v1;
use proto::v1::config_service_client::ConfigServiceClient;
use proto::v1::fleet_service_client::FleetServiceClient;
use proto::v1::gateway_service_client::GatewayServiceClient;
use proto::v1::history_service_client::HistoryServiceClient;
use proto::v1::rollout_service_client::RolloutServiceClient;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::eventually::eventually;

/// Calls one control plane as its operator.
#[derive(Clone)]
pub struct Operator {
    pub url: String,
    pub operator: Bearer,
}

/// Adds a credential to every call.
#[derive(Clone)]
pub struct Bearer(pub String);

pub type Client = InterceptedService<Channel, Bearer>;

// === impl Operator ===

impl Operator {
    /// `token` may end with a newline, as its file does.
    pub fn new(url: String, token: impl AsRef<str>) -> Self {
        Self { url, operator: Bearer(token.as_ref().trim().to_owned()) }
    }

    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url.clone()).unwrap().connect_lazy()
    }

    pub fn configs(&self) -> ConfigServiceClient<Client> {
        ConfigServiceClient::with_interceptor(self.channel(), self.operator.clone())
    }

    pub fn fleets(&self) -> FleetServiceClient<Client> {
        FleetServiceClient::with_interceptor(self.channel(), self.operator.clone())
    }

    pub fn gateways(&self) -> GatewayServiceClient<Client> {
        GatewayServiceClient::with_interceptor(self.channel(), self.operator.clone())
    }

    pub fn rollouts(&self) -> RolloutServiceClient<Client> {
        RolloutServiceClient::with_interceptor(self.channel(), self.operator.clone())
    }

    pub fn history(&self) -> HistoryServiceClient<Client> {
        HistoryServiceClient::with_interceptor(self.channel(), self.operator.clone())
    }

    pub async fn create_fleet(&self, name: &str) {
        self.fleets().create_fleet(v1::CreateFleetRequest { name: name.into() }).await.unwrap();
    }

    pub async fn enroll(&self, fleet: &str, name: &str) -> Bearer {
        let request = v1::EnrollRequest {
            fleet: fleet.into(),
            name: name.into(),
            agent_version: "0.1.0".into(),
            ..Default::default()
        };
        Bearer(self.gateways().enroll(request).await.unwrap().into_inner().credential)
    }

    /// Pushes a pack to a fleet; the bake is over at once.
    pub async fn push(&self, fleet: &str, source: &str) -> v1::PushConfigResponse {
        self.configs().push_config(push_request(fleet, source)).await.unwrap().into_inner()
    }

    pub async fn rollout(&self, id: &str) -> v1::Rollout {
        self.rollouts().get_rollout(v1::GetRolloutRequest { id: id.into() }).await.unwrap().into_inner()
    }

    pub async fn gateway(&self, fleet: &str, name: &str) -> v1::Gateway {
        self.find_gateway(fleet, name).await.unwrap()
    }

    pub async fn find_gateway(&self, fleet: &str, name: &str) -> Result<v1::Gateway, Status> {
        let request = v1::GetGatewayRequest { fleet: fleet.into(), name: name.into() };
        Ok(self.gateways().get_gateway(request).await?.into_inner())
    }

    pub async fn events(&self, filter: v1::EventFilter) -> Vec<v1::HistoryEvent> {
        let request = v1::ListEventsRequest { filter: Some(filter), page_size: 1_000, ..Default::default() };
        self.history().list_events(request).await.unwrap().into_inner().events
    }

    /// Every event so far, page by page.
    ///
    /// # Panics
    /// When a number is missing or there twice.
    pub async fn whole_history(&self) -> Vec<v1::HistoryEvent> {
        let (mut events, mut history, mut after) = (Vec::new(), self.history(), 0);
        loop {
            let request = v1::ListEventsRequest { page_size: 500, after_cursor: after, ..Default::default() };
            let page = history.list_events(request).await.expect("the history").into_inner();
            events.extend(page.events);
            if !page.more {
                break;
            }
            after = page.next_cursor;
        }
        let numbers: Vec<u64> = events.iter().map(|event| event.cursor).collect();
        let expected: Vec<u64> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "the history has a gap or a double");
        events
    }

    /// Waits until so many gateways of a fleet are online, or more; answers all of the fleet.
    pub async fn until_online(&self, fleet: &str, wanted: usize, limit: Duration) -> Vec<v1::Gateway> {
        eventually("every gateway is online", limit, async || {
            let gateways = self.list_gateways(fleet).await.map_err(|status| status.to_string())?;
            let online = gateways.iter().filter(|one| one.liveness() == v1::Liveness::Online).count();
            if online >= wanted { Ok(gateways) } else { Err(format!("{online} of {wanted} are online")) }
        })
        .await
    }

    /// All of a fleet, when they are few hundreds.
    pub async fn list_gateways(&self, fleet: &str) -> Result<Vec<v1::Gateway>, Status> {
        let request = v1::ListGatewaysRequest { fleet: fleet.into(), page_size: 500, ..Default::default() };
        Ok(self.gateways().list_gateways(request).await?.into_inner().gateways)
    }
}

// === impl Bearer ===

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.0).parse().unwrap());
        Ok(request)
    }
}

/// A push with a rollout whose bake is over at once.
pub fn push_request(fleet: &str, source: &str) -> v1::PushConfigRequest {
    v1::PushConfigRequest {
        source: source.as_bytes().to_vec().into(),
        note: "test".into(),
        rollout: Some(v1::RolloutOrder {
            fleet: fleet.into(),
            strategy: Some(v1::Strategy {
                bake: Some(prost_types::Duration { seconds: 0, nanos: 0 }),
                deadline: None,
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A valid pack; no two versions share their bytes.
pub fn pack(version: &str) -> String {
    format!(
        "pack:\n  name: local-dev\n  version: {version}\n  enabled: true\nproviders:\n  targets:\n    \
         - id: upstream\n      provider: openai-compatible\n      model: \"*\"\n      \
         base_url: http://127.0.0.1:9/v1\npolicies:\n  chain: [pii-detector, audit-logger]\npolicy:\n  \
         pii-detector: {{action: redact}}\n  audit-logger: {{}}\n"
    )
}
