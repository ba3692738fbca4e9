//! The stage of every test here: control planes and gateways as processes, a provider, and a publisher who tries
//! again until he is answered, as a pipeline would.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use policy_config::ConfigDigest;
use proto::v1;
use tempfile::TempDir;
use tests::eventually::eventually;
use tests::fleet::{CHAIN, FLEET, Provider};
use tests::http::Http;
use tests::operator::{Operator, push_request};
use tests::programs::{GatewayProgram, PlaneProgram, passable_dir};
use tonic::Code;

/// After everybody is back, nobody is stuck longer.
pub const UNSTUCK_WITHIN: Duration = Duration::from_secs(10);
/// On a loaded machine, from the start of the gateways.
const ENROLLED_WITHIN: Duration = Duration::from_secs(60);
/// How long a publisher tries to get one answer.
const PUBLISH_WITHIN: Duration = Duration::from_secs(60);

pub struct Rig {
    pub planes: Vec<PlaneProgram>,
    pub gateways: Vec<GatewayProgram>,
    pub provider: Provider,
    pub http: Http,
    pub truth: Truth,
    versions: u64,
    database: Option<tests::postgres::TestDatabase>,
    _dir: TempDir,
}

/// What was acknowledged and seen so far, and must never be contradicted.
#[derive(Default)]
pub struct Truth {
    /// Revision → digest, as the publisher was told.
    pub acknowledged: BTreeMap<u64, String>,
    /// Gateway → the highest generation that it was ever told to run.
    pub desired: BTreeMap<String, u64>,
    /// Gateway → the highest generation that it was ever said to run.
    pub observed: BTreeMap<String, u64>,
}

/// Where the database is.
pub enum Database {
    /// The suite's shared server, which does not sync: for faults of our own programs.
    Shared,
    /// A private cluster of the one control plane, synced to disk: for faults of the database.
    Private,
}

// === impl Rig ===

impl Rig {
    /// Everything up, the fleet made, the first pack active everywhere.
    pub async fn start(database: Database, planes: usize, gateways: usize) -> Self {
        let dir = passable_dir();
        let shared = match database {
            Database::Shared => {
                Some(tests::postgres::database(&control_plane::store::migrate::MIGRATOR).await)
            }
            Database::Private => None,
        };
        let url = shared.as_ref().map(|database| database.url.clone());
        let mut rig = Self {
            planes: Vec::new(),
            gateways: Vec::new(),
            provider: Provider::start().await,
            http: Http::new(),
            truth: Truth::default(),
            versions: 0,
            database: shared,
            _dir: dir,
        };
        for number in 0..planes {
            let home = rig._dir.path().join(format!("plane-{number}"));
            let mut plane = PlaneProgram::new(&home, url.as_deref());
            plane.start().await;
            rig.planes.push(plane);
        }
        rig.operator().create_fleet(FLEET).await;
        let urls: Vec<String> = (0..gateways).map(|number| rig.planes[number % planes].url()).collect();
        rig.launch(&urls).await;
        rig
    }

    /// More gateways, all behind this address, with the first pack active on them.
    pub async fn add_gateways(&mut self, count: usize, url: &str) {
        self.launch(&vec![url.to_owned(); count]).await;
    }

    async fn launch(&mut self, urls: &[String]) {
        if urls.is_empty() {
            return;
        }
        for url in urls {
            // Each replica has an operator's token of its own.
            let plane = self.planes.iter().find(|plane| plane.url() == *url).unwrap_or(&self.planes[0]);
            let token = plane.token_file();
            let name = format!("edge-{}", self.gateways.len());
            let mut gateway = GatewayProgram::at(self._dir.path(), &name, url, &token);
            gateway.launch();
            self.gateways.push(gateway);
        }
        self.operator().until_online(FLEET, self.gateways.len(), ENROLLED_WITHIN).await;
        self.publish().await;
        self.until_settled().await;
    }

    /// Of the shared database.
    pub fn pool(&self) -> sqlx::PgPool {
        self.database.as_ref().expect("the database is the shared one").pool.clone()
    }

    /// Of the first control plane.
    pub fn operator(&self) -> Operator {
        self.planes[0].operator()
    }

    /// A pack that nobody had before.
    pub fn next_pack(&mut self) -> String {
        self.versions += 1;
        self.provider.pack(&format!("0.{}.0", self.versions), CHAIN)
    }

    /// Publishes a new pack to the fleet; see [`Self::publish_as`].
    pub async fn publish(&mut self) -> v1::PushConfigResponse {
        let source = self.next_pack();
        self.publish_as(&source, &uuid::Uuid::new_v4().to_string()).await
    }

    /// As [`Self::publish`], this pack with this key.
    pub async fn publish_as(&mut self, source: &str, key: &str) -> v1::PushConfigResponse {
        let mut request = push_request(FLEET, source);
        request.idempotency_key = key.to_owned();
        self.push_through(0, request).await
    }

    /// Publishes a new pack through one of the control planes, in the place of what is on its way.
    pub async fn supersede(&mut self, plane: usize) -> v1::PushConfigResponse {
        let mut request = push_request(FLEET, &self.next_pack());
        request.idempotency_key = uuid::Uuid::new_v4().to_string();
        request.rollout.as_mut().expect("an order").supersede = true;
        self.push_through(plane, request).await
    }

    /// Asks until it is answered, always with the same key, and starts again whoever died meanwhile.
    async fn push_through(&mut self, plane: usize, request: v1::PushConfigRequest) -> v1::PushConfigResponse {
        let began = Instant::now();
        loop {
            let mut configs = self.planes[plane].operator().configs();
            match configs.push_config(request.clone()).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    assert_eq!(answer.digest, ConfigDigest::of(&request.source).to_string());
                    self.truth.acknowledged.insert(answer.revision, answer.digest.clone());
                    return answer;
                }
                // The answer was lost, or never was; an open rollout of the case before ends by itself.
                Err(status) if may_pass(&status) && began.elapsed() < PUBLISH_WITHIN => {
                    self.revive().await;
                }
                Err(status) => panic!("a push was refused: {status}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts again who has ended; answers how many.
    pub async fn revive(&mut self) -> usize {
        let mut revived = 0;
        for plane in &mut self.planes {
            if plane.process.as_mut().is_none_or(|process| process.ended().is_some()) {
                plane.arm("");
                plane.start().await;
                revived += 1;
            }
        }
        for gateway in &mut self.gateways {
            if gateway.process.as_mut().is_none_or(|process| process.ended().is_some()) {
                gateway.arm("");
                gateway.launch();
                revived += 1;
            }
        }
        revived
    }

    /// Waits until everybody runs what it should, or has refused it with a reason, and no rollout is open; and until
    /// traffic is served under the version that each said it runs. Everybody is back already.
    pub async fn until_settled(&mut self) -> Duration {
        let began = Instant::now();
        let gateways = eventually("everybody runs what it should", UNSTUCK_WITHIN, async || {
            let gateways = self.operator().list_gateways(FLEET).await.map_err(|status| status.to_string())?;
            if gateways.len() != self.gateways.len() {
                return Err(format!("{} are known", gateways.len()));
            }
            let behind: Vec<_> = gateways.iter().filter(|gateway| !is_settled(gateway)).collect();
            if !behind.is_empty() {
                return Err(format!("{behind:#?}"));
            }
            let request = v1::ListRolloutsRequest { fleet: FLEET.into(), ..Default::default() };
            let rollouts = self.operator().rollouts().list_rollouts(request).await;
            let rollouts = rollouts.map_err(|status| status.to_string())?.into_inner().rollouts;
            match rollouts.iter().find(|rollout| is_open(rollout.state())) {
                Some(open) => Err(format!("{:?}: {:?}", open.state(), open.waiting_on)),
                None => Ok(gateways),
            }
        })
        .await;
        let took = began.elapsed();
        for gateway in gateways {
            self.see(&gateway).await;
        }
        took
    }

    /// What a gateway is said to run is what serves there, and no generation is lower than one seen before.
    async fn see(&mut self, gateway: &v1::Gateway) {
        let desired = gateway.desired.as_ref().map_or(0, |version| version.generation());
        let observed = gateway.observed.as_ref().expect("it runs something");
        let Truth { desired: told, observed: said, .. } = &mut self.truth;
        for (what, generations, generation) in
            [("desired", told, desired), ("observed", said, observed.generation())]
        {
            let highest = generations.entry(gateway.name.clone()).or_default();
            assert!(generation >= *highest, "{}: {what} {generation} after {highest}", gateway.name);
            *highest = generation;
        }
        let program = self.gateways.iter().find(|program| program.name == gateway.name).expect("ours");
        let on_disk = highest_on_disk(program);
        assert!(
            on_disk >= observed.generation(),
            "{}: the disk knows {on_disk} of {observed:?}",
            gateway.name
        );
        let url = format!("{}/v1/models", program.url());
        let served = eventually("it serves what it is said to run", UNSTUCK_WITHIN, async || {
            let answer = self.http.get(&url).await.map_err(|error| format!("{error:#}"))?;
            match answer.version() {
                Some(version) if version == observed.version => Ok(()),
                version => Err(format!("{version:?} instead of {}", observed.version)),
            }
        });
        served.await;
    }
}

/// A push that may succeed when it is tried again.
pub fn may_pass(status: &tonic::Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted => true,
        Code::FailedPrecondition => status.message().contains("rollout"),
        _ => false,
    }
}

fn is_open(state: v1::RolloutState) -> bool {
    use v1::RolloutState as S;
    matches!(state, S::Planned | S::Advancing | S::Reverting)
}

/// It runs what it should, or said why not.
fn is_settled(gateway: &v1::Gateway) -> bool {
    let refused = gateway.last_outcome.as_ref().is_some_and(|outcome| {
        Some(outcome.generation) == gateway.desired.as_ref().map(|desired| desired.generation())
            && outcome.state == "rejected"
            && !outcome.reason.is_empty()
    });
    gateway.liveness() == v1::Liveness::Online && gateway.observed.is_some() && (gateway.in_sync || refused)
}

/// The high-water mark in `standing.json`.
pub fn highest_on_disk(program: &GatewayProgram) -> u64 {
    let text = std::fs::read_to_string(program.instance_dir().join("standing.json")).expect("a standing");
    let standing: serde_json::Value = serde_json::from_str(&text).expect("it is whole");
    standing["standing"]["highest"].as_u64().unwrap_or_default()
}
