//! A control plane in this process, on port 0, on a database of its own; and clients with the credential of a choice.

use std::sync::atomic::{AtomicU64, Ordering};
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
use tests::postgres::{TestDatabase, database};
use tokio::task::JoinHandle;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A running control plane; dropping it drains it.
pub struct Plane {
    pub url: String,
    pub operator: Bearer,
    _database: TestDatabase,
    trigger: DrainTrigger,
    served: JoinHandle<Result<(), StartError>>,
    _dir: tempfile::TempDir,
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
        let settings = Settings {
            data_dir: dir.path().join("data"),
            listen: "127.0.0.1:0".parse().unwrap(),
            metrics_listen: "127.0.0.1:0".parse().unwrap(),
            database: Database::Disposable(DatabaseUrl::new(database.url.as_ref()).unwrap()),
            timings,
        };
        let bound = ControlPlane::bind(settings).await.unwrap();
        let token = std::fs::read_to_string(bound.operator_token_path()).unwrap();
        let url = format!("http://{}", bound.grpc_address());
        let (trigger, watcher) = drain::channel();
        let served = watcher.clone().spawn("control plane under test", bound.serve(watcher));
        let operator = Bearer(token.trim().to_owned());
        Self { url, operator, _database: database, trigger, served, _dir: dir }
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

    pub async fn events(&self, filter: v1::EventFilter) -> Vec<v1::HistoryEvent> {
        let request = v1::ListEventsRequest { filter: Some(filter), page_size: 1_000, ..Default::default() };
        self.history().list_events(request).await.unwrap().into_inner().events
    }

    /// Begins the end without waiting for it.
    pub fn drain(&self) {
        self.trigger.start();
    }

    /// Drains and waits; the control plane must end within its own times.
    pub async fn stop(self) {
        self.trigger.start();
        let ended = tokio::time::timeout(PATIENCE, self.served).await.expect("ends in time");
        ended.expect("does not panic").expect("ends without an error");
    }
}

// === impl Bearer ===

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.0).parse().unwrap());
        Ok(request)
    }
}

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

/// Grows with every call of the process, as the counter of an agent's streams does.
pub fn next_counter() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    COUNTER.fetch_add(1, Ordering::Relaxed)
}
