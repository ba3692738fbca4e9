//! One database with a control plane's operations over it, and gateways that say what the test makes them say.

use std::time::Duration;

use control_plane::operations::{
    Answered, AttachFacts, AttachOutcome, Confirmed, Context, EnrollGateway, OperationError, Precondition,
    PresenceRecord, Principal, PushConfig, PushedConfig, ReportRecord, RolloutOrder, RunningPack, SentOffer,
    Wake, attach_gateway, create_fleet, enroll_gateway, push_config, record_presence, record_reports,
    record_sent,
};
use control_plane::reconcile::driver;
use control_plane::store::gateways::{GatewayView, gateway_get};
use control_plane::store::history::{EventFilter, EventView, event_list};
use control_plane::store::migrate::{MIGRATOR, UnsafeServer};
use control_plane::store::rollout_reads::{RolloutView, rollout_get};
use control_plane::store::{Store, StoreOptions};
use fleet_core::gateway::{GatewayPath, Labels};
use fleet_core::history::{Cursor, EventKind};
use fleet_core::ids::{BootId, GatewayId, RolloutId};
use fleet_core::offer::{Acknowledgement, NackReason, Stage};
use fleet_core::rollout::RolloutStrategy;
use fleet_core::stable::Seen;
use fleet_core::version::{DesiredVersion, Generation};
use service_kit::clock::Clock;
use tests::postgres::{TestDatabase, database};
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) context: Context,
}

/// A gateway and the stream that it has open.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) id: GatewayId,
    pub(crate) name: String,
    pub(crate) boot: BootId,
    pub(crate) session_counter: u64,
}

pub(crate) const OPERATOR: Principal = Principal::Operator;
pub(crate) const FLEET: &str = "prod";

/// A pack of this config and version; `text` makes the bytes differ.
pub(crate) fn pack(config: &str, version: &str, text: &str) -> Vec<u8> {
    format!(
        "pack:\n  name: {config}\n  version: {version}\n  enabled: true\n  description: \"{text}\"\n\
         providers:\n  targets:\n    - id: main\n      provider: openai\n      model: gpt-5\n      \
         base_url: https://api.openai.com\n      secret_key_ref: {{env: OPENAI_API_KEY}}\n\
         policies:\n  chain: [prompt-injection, pii-detector]\n\
         policy:\n  prompt-injection: {{}}\n  pii-detector: {{action: redact}}\n"
    )
    .into_bytes()
}

pub(crate) fn order(source: Vec<u8>) -> PushConfig {
    PushConfig {
        source: source.into(),
        note: String::new(),
        idempotency_key: None,
        expect_revision: None,
        allow_same_version: false,
        accept_risk: false,
        rollout: None,
    }
}

/// To the fleet, with no bake and a deadline that no test reaches.
pub(crate) fn rollout(fleet: &str) -> RolloutOrder {
    let strategy = RolloutStrategy { bake: Duration::ZERO, deadline: Duration::from_secs(600) };
    RolloutOrder { fleet: fleet.parse().unwrap(), strategy, replace_config: false, supersede: false }
}

pub(crate) fn precondition(error: OperationError) -> Precondition {
    match error {
        OperationError::Precondition(precondition) => *precondition,
        other => panic!("not a precondition: {other:?}"),
    }
}

// === impl World ===

impl World {
    pub(crate) async fn new() -> Self {
        let database = database(&MIGRATOR).await;
        let options = StoreOptions {
            connect: database.options.clone(),
            max_connections: 12,
            unsafe_server: UnsafeServer::Warn,
        };
        let store = Store::open(options).await.unwrap();
        let context = Context { store, clock: Clock::system(), wake: Wake::new() };
        Self { database, context }
    }

    /// With a fleet and these gateways online in it.
    pub(crate) async fn with_gateways(names: &[&str]) -> (Self, Vec<Agent>) {
        let world = Self::new().await;
        create_fleet(&world.context, &OPERATOR, FLEET.parse().unwrap()).await.unwrap();
        let mut agents = Vec::new();
        for name in names {
            agents.push(world.agent(name).await);
        }
        (world, agents)
    }

    /// Enrols a gateway and opens its stream.
    pub(crate) async fn agent(&self, name: &str) -> Agent {
        let path: GatewayPath = format!("{FLEET}/{name}").parse().unwrap();
        let enroll = EnrollGateway { path, labels: Labels::default(), agent_version: "0.1.0".to_owned() };
        let enrolled = enroll_gateway(&self.context, &OPERATOR, enroll).await.unwrap();
        let agent = Agent {
            id: enrolled.id,
            name: name.to_owned(),
            boot: BootId(Uuid::new_v4()),
            session_counter: 1,
        };
        self.attach(&agent).await;
        agent
    }

    pub(crate) async fn attach(&self, agent: &Agent) -> AttachOutcome {
        self.try_attach(agent).await.unwrap()
    }

    /// As [`Self::attach`], of an agent that says it has seen this generation.
    pub(crate) async fn attach_having_seen(&self, agent: &Agent, seen: Option<Generation>) -> AttachOutcome {
        self.try_attach_having_seen(agent, seen).await.unwrap()
    }

    pub(crate) async fn try_attach(&self, agent: &Agent) -> Result<AttachOutcome, OperationError> {
        self.try_attach_having_seen(agent, None).await
    }

    async fn try_attach_having_seen(
        &self,
        agent: &Agent,
        seen: Option<Generation>,
    ) -> Result<AttachOutcome, OperationError> {
        let facts = AttachFacts {
            boot: agent.boot,
            session_counter: agent.session_counter,
            labels: Labels::default(),
            agent_version: "0.1.0".to_owned(),
            pinned: false,
            local: None,
            seen: Seen { highest: seen, ..Seen::default() },
        };
        attach_gateway(&self.context, agent.id, facts).await
    }

    /// Its stream ends.
    pub(crate) async fn leave(&self, agent: &Agent) {
        self.presence(agent, Duration::ZERO, false).await;
    }

    pub(crate) async fn presence(&self, agent: &Agent, seen_ago: Duration, attached: bool) {
        let record = PresenceRecord {
            gateway: agent.id,
            boot: agent.boot,
            session_counter: agent.session_counter,
            seen_ago,
            attached,
        };
        record_presence(&self.context, vec![record]).await.unwrap();
    }

    pub(crate) async fn store(&self, source: Vec<u8>) -> Result<PushedConfig, OperationError> {
        push_config(&self.context, &OPERATOR, order(source)).await
    }

    pub(crate) async fn push(&self, source: Vec<u8>) -> Result<PushedConfig, OperationError> {
        self.push_with(source, rollout(FLEET)).await
    }

    pub(crate) async fn push_with(
        &self,
        source: Vec<u8>,
        rollout: RolloutOrder,
    ) -> Result<PushedConfig, OperationError> {
        let push = PushConfig { rollout: Some(rollout), ..order(source) };
        push_config(&self.context, &OPERATOR, push).await
    }

    /// The reconciler takes every step that there is to take now.
    pub(crate) async fn reconcile(&self) {
        while driver::look(&self.context).await.unwrap().steps > 0 {}
    }

    /// A push that every one of these activates, to its end.
    pub(crate) async fn settled(&self, source: Vec<u8>, agents: &[Agent]) -> RolloutView {
        let id = self.push(source).await.unwrap().rollout.unwrap().id;
        self.reconcile().await;
        for agent in agents {
            self.ack(agent).await;
        }
        self.reconcile().await;
        self.rollout(id).await
    }

    pub(crate) async fn rollout(&self, id: RolloutId) -> RolloutView {
        rollout_get(&self.context.store, id).await.unwrap().unwrap()
    }

    pub(crate) async fn gateway(&self, agent: &Agent) -> GatewayView {
        let path = format!("{FLEET}/{}", agent.name).parse().unwrap();
        gateway_get(&self.context.store, &path, 20).await.unwrap().unwrap().0
    }

    /// What it should run.
    pub(crate) async fn desired(&self, agent: &Agent) -> DesiredVersion {
        let desired = self.gateway(agent).await.desired.unwrap();
        DesiredVersion {
            revision: desired.revision.unwrap(),
            generation: desired.generation.expect("an assignment has one"),
            digest: desired.digest,
        }
    }

    pub(crate) async fn sent(&self, agent: &Agent, deadline: Duration) {
        let generation = self.desired(agent).await.generation;
        record_sent(&self.context, vec![SentOffer { gateway: agent.id, generation, deadline }])
            .await
            .unwrap();
    }

    /// It activates what it should run.
    pub(crate) async fn ack(&self, agent: &Agent) {
        let desired = self.desired(agent).await;
        self.report(vec![acked(self, agent, desired)]).await;
    }

    /// It refuses what it should run.
    pub(crate) async fn nack(&self, agent: &Agent, stage: Stage) {
        let desired = self.desired(agent).await;
        self.report(vec![nacked(self, agent, desired, stage)]).await;
    }

    pub(crate) async fn report(&self, records: Vec<ReportRecord>) -> Vec<Confirmed> {
        record_reports(&self.context, records).await.unwrap()
    }

    pub(crate) async fn events(&self, kinds: &[EventKind]) -> Vec<EventView> {
        let filter = EventFilter { kinds: kinds.to_vec(), ..EventFilter::default() };
        event_list(&self.context.store, &filter, Cursor(0), 10_000).await.unwrap().events
    }

    /// The outcomes of a gateway's activations, as history tells them: (generation, outcome).
    pub(crate) async fn outcomes(&self, agent: &Agent) -> Vec<(u64, String)> {
        let events = self.events(&[EventKind::Activation]).await;
        let path = format!("{FLEET}/{}", agent.name);
        let own = events.into_iter().filter(|event| event.gateway == path);
        own.map(|event| (event.generation.unwrap().0, event.outcome)).collect()
    }

    /// History has every number from 1 to its head, once.
    pub(crate) async fn assert_gapless(&self) {
        let cursors: Vec<u64> = self.events(&[]).await.iter().map(|event| event.cursor.0).collect();
        let expected: Vec<u64> = (1..=u64::try_from(cursors.len()).unwrap()).collect();
        assert_eq!(cursors, expected);
        let head = control_plane::store::history::event_head(&self.context.store).await.unwrap();
        assert_eq!(head.0, u64::try_from(cursors.len()).unwrap());
    }
}

fn report(world: &World, agent: &Agent) -> ReportRecord {
    ReportRecord {
        gateway: agent.id,
        boot: agent.boot,
        session_counter: agent.session_counter,
        lineage: world.context.store.lineage(),
        agent_version: "0.1.0".to_owned(),
        answered: None,
        running: None,
    }
}

pub(crate) fn running(world: &World, agent: &Agent, desired: DesiredVersion) -> ReportRecord {
    let running = RunningPack {
        generation: desired.generation,
        digest: desired.digest,
        version: "0.1.0".to_owned(),
        ago: Duration::ZERO,
        from_hello: false,
    };
    ReportRecord { running: Some(running), ..report(world, agent) }
}

pub(crate) fn acked(world: &World, agent: &Agent, desired: DesiredVersion) -> ReportRecord {
    let acknowledgement = Acknowledgement::Ack { warnings: Vec::new() };
    ReportRecord { answered: Some(answered(desired, acknowledgement)), ..running(world, agent, desired) }
}

pub(crate) fn nacked(world: &World, agent: &Agent, desired: DesiredVersion, stage: Stage) -> ReportRecord {
    let reason = NackReason { stage, reason: "lacks OPENAI_API_KEY".to_owned(), findings: Vec::new() };
    ReportRecord { answered: Some(answered(desired, Acknowledgement::Nack(reason))), ..report(world, agent) }
}

fn answered(desired: DesiredVersion, acknowledgement: Acknowledgement) -> Answered {
    Answered {
        generation: desired.generation,
        digest: desired.digest,
        acknowledgement,
        ago: Duration::ZERO,
        validate: Some(Duration::from_micros(1_500)),
        activate: None,
    }
}
