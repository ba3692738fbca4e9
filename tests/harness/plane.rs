//! A control plane in this process, on a database of its own, that can be stopped and started again on the same
//! ports; and clients with the credential of a choice.

use std::net::SocketAddr;
use std::time::Duration;

use control_plane::settings::{Database, DatabaseUrl, Timings};
use control_plane::store::migrate::MIGRATOR;
use control_plane::{ControlPlane, Settings, StartError};
use proto::v1;
use proto::v1::config_service_client::ConfigServiceClient;
use proto::v1::fleet_service_client::FleetServiceClient;
use proto::v1::gateway_service_client::GatewayServiceClient;
use proto::v1::history_service_client::HistoryServiceClient;
use proto::v1::rollout_service_client::RolloutServiceClient;
use service_kit::drain::{self, DrainTrigger};
use tokio::task::JoinHandle;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::postgres::{TestDatabase, database};

/// A control plane; dropping it drains it.
pub struct Plane {
    pub url: String,
    pub admin_url: String,
    pub operator: Bearer,
    pub database: TestDatabase,
    settings: Settings,
    running: Option<Running>,
    dir: tempfile::TempDir,
}

struct Running {
    trigger: DrainTrigger,
    served: JoinHandle<Result<(), StartError>>,
}

/// Adds a credential to every call.
#[derive(Clone)]
pub struct Bearer(pub String);

pub type Client = InterceptedService<Channel, Bearer>;

/// Long enough for a loaded machine, short enough to notice.
pub const PATIENCE: Duration = Duration::from_secs(20);

// === impl Plane ===

impl Plane {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Timings)) -> Self {
        let database = database(&MIGRATOR).await;
        let dir = tempfile::tempdir().unwrap();
        let mut timings = Timings { drain: Duration::from_secs(3), ..Timings::default() };
        change(&mut timings);
        let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            data_dir: dir.path().join("data"),
            listen: any_port,
            metrics_listen: any_port,
            database: Database::Disposable(DatabaseUrl::new(database.url.as_ref()).unwrap()),
            timings,
        };
        let operator = Bearer(String::new());
        let mut plane = Self {
            url: String::new(),
            admin_url: String::new(),
            operator,
            database,
            settings,
            running: None,
            dir,
        };
        plane.start_again().await;
        plane
    }

    /// Starts it, after a stop on the ports it had.
    pub async fn start_again(&mut self) {
        let bound = ControlPlane::bind(self.settings.clone()).await.unwrap();
        self.settings.listen = bound.grpc_address();
        self.settings.metrics_listen = bound.metrics_address();
        self.url = format!("http://{}", bound.grpc_address());
        self.admin_url = format!("http://{}", bound.metrics_address());
        let token = std::fs::read_to_string(bound.operator_token_path()).unwrap();
        self.operator = Bearer(token.trim().to_owned());
        let (trigger, watcher) = drain::channel();
        let served = watcher.clone().spawn("control plane under test", bound.serve(watcher));
        self.running = Some(Running { trigger, served });
    }

    /// Begins the end without waiting for it.
    pub fn drain(&self) {
        if let Some(running) = &self.running {
            running.trigger.start();
        }
    }

    /// Drains and waits; the control plane must end within its own times.
    pub async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.trigger.start();
        let ended = tokio::time::timeout(PATIENCE, running.served).await.expect("ends in time");
        ended.expect("does not panic").expect("ends without an error");
    }

    /// As [`Self::stop`], for good.
    pub async fn end(mut self) {
        self.stop().await;
    }

    /// The file with the operator's token.
    pub fn token_file(&self) -> std::path::PathBuf {
        self.dir.path().join("data/operator.token")
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
