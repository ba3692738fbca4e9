//! A whole fleet in this process: one control plane on its own database, gateways with a data plane each, and a
//! provider that remembers what it got. All on port 0.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use control_plane::settings::Timings;
use fake_provider::{FakeProvider, Received};
use gateway_agent::activation::handle::ActivatorHandle;
use gateway_agent::activation::live::ActivePolicy;
use gateway_agent::activation::record::Record;
use gateway_agent::app::gateway::Gateway;
use gateway_agent::args::Args;
use gateway_agent::settings::{Environment, Settings};
use service_kit::clock::Clock;
use service_kit::drain::{self, DrainTrigger};

use crate::eventually::eventually;
use crate::http::Http;
use crate::plane::{PATIENCE, Plane};

/// The fleet's name.
pub const FLEET: &str = "prod";
/// The variable that every gateway has a key in.
pub const KEY: &str = "OPENAI_API_KEY";
/// The chain of a pack whose policies are not what is tried.
pub const CHAIN: &str = "prompt-injection, audit-logger";

/// What a test plays with.
pub struct Fleet {
    pub plane: Plane,
    pub provider: Provider,
    pub http: Http,
    /// Where gateways call the control plane, when not at its own port.
    pub dial: Option<String>,
    home: tempfile::TempDir,
    gateways: BTreeMap<String, Gateway>,
}

/// A provider that serves for as long as it is held.
pub struct Provider {
    pub url: String,
    pub received: Received,
    trigger: DrainTrigger,
}

// === impl Provider ===

impl Provider {
    pub async fn start() -> Self {
        let bound = FakeProvider::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (url, received) = (format!("http://{}", bound.addr), bound.received());
        let (trigger, watcher) = drain::channel();
        watcher.spawn("fake provider", bound.serve(watcher.clone()));
        Self { url, received, trigger }
    }

    /// Ends it; from then on nobody answers there.
    pub async fn end(self) {
        self.trigger.start();
        self.trigger.drained(PATIENCE).await.expect("it has nothing to do for long");
    }

    /// A pack for this provider; `policies` is its chain.
    pub fn pack(&self, version: &str, policies: &str) -> String {
        pack(&self.url, version, policies, KEY)
    }
}

// === impl Fleet ===

impl Fleet {
    /// A control plane with the fleet, and these gateways attached.
    pub async fn start(names: &[&str]) -> Self {
        Self::start_on(Plane::start().await, names).await
    }

    /// As [`Self::start`], with other times of the control plane.
    pub async fn start_with(names: &[&str], change: impl FnOnce(&mut Timings)) -> Self {
        Self::start_on(Plane::start_with(change).await, names).await
    }

    /// As [`Self::start`], on this control plane.
    pub async fn start_on(plane: Plane, names: &[&str]) -> Self {
        plane.create_fleet(FLEET).await;
        let mut fleet = Self {
            plane,
            provider: Provider::start().await,
            http: Http::new(),
            dial: None,
            home: tempfile::tempdir().unwrap(),
            gateways: BTreeMap::new(),
        };
        for name in names {
            fleet.start_gateway(name).await;
            fleet.until_online(name).await;
        }
        fleet
    }

    /// Starts a gateway, or starts it again on the directory it had.
    pub async fn start_gateway(&mut self, name: &str) {
        self.start_gateway_with(name, &[(KEY, "sk-test")]).await;
    }

    /// As [`Self::start_gateway`], with these variables instead of a key.
    pub async fn start_gateway_with(&mut self, name: &str, variables: &[(&str, &str)]) {
        let settings = self.settings(name, variables);
        let gateway = Gateway::start(settings, Clock::system()).await.unwrap();
        self.gateways.insert(name.to_owned(), gateway);
    }

    /// Drains a gateway and waits for its end.
    pub async fn stop_gateway(&mut self, name: &str) {
        self.gateways.remove(name).expect("it runs").stop().await.unwrap();
    }

    /// Where clients call it.
    pub fn chat_url(&self, name: &str) -> String {
        format!("http://{}/v1/chat/completions", self.gateways[name].address())
    }

    pub fn models_url(&self, name: &str) -> String {
        format!("http://{}/v1/models", self.gateways[name].address())
    }

    pub fn ready_url(&self, name: &str) -> String {
        format!("http://{}/readyz", self.gateways[name].address())
    }

    /// What a gateway runs now.
    pub fn policy(&self, name: &str) -> Option<Arc<ActivePolicy>> {
        self.gateways[name].policy()
    }

    pub async fn until_online(&self, name: &str) {
        eventually(&format!("{name} is online"), PATIENCE, async || {
            // It may not have enrolled yet.
            let gateway = self.plane.find_gateway(FLEET, name).await.map_err(|status| status.to_string())?;
            if gateway.liveness() == proto::v1::Liveness::Online {
                Ok(())
            } else {
                Err(format!("{gateway:?}"))
            }
        })
        .await;
    }

    /// Waits until the rollout has ended in this state.
    pub async fn until_ended(&self, rollout: &str, state: proto::v1::RolloutState) -> proto::v1::Rollout {
        eventually(&format!("the rollout is {state:?}"), PATIENCE, async || {
            let rollout = self.plane.rollout(rollout).await;
            if rollout.state() == state { Ok(rollout) } else { Err(rollout) }
        })
        .await
    }

    /// Waits until a gateway serves this version.
    pub async fn until_serves(&self, name: &str, version: &str) {
        eventually(&format!("{name} serves {version}"), PATIENCE, async || match self.policy(name) {
            Some(policy) if policy.version.to_string() == version => Ok(()),
            Some(policy) => Err(policy.version.to_string()),
            None => Err("nothing".to_owned()),
        })
        .await;
    }

    /// `KT_HOME` of its gateways.
    pub fn home(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// What a gateway knows of its own past.
    pub fn record(&self, name: &str) -> Arc<Record> {
        self.gateways[name].record()
    }

    /// Whom somebody on the gateway's host orders.
    pub fn activator(&self, name: &str) -> &ActivatorHandle {
        self.gateways[name].activator()
    }

    fn settings(&self, name: &str, variables: &[(&str, &str)]) -> Settings {
        let home = self.home();
        let control_plane = self.dial.as_ref().unwrap_or(&self.plane.url);
        let words = ["kt-gateway", "--name", name, "--listen", "127.0.0.1:0", "--fleet", FLEET];
        let args =
            Args::try_parse_from(words.iter().copied().chain(["--control-plane", control_plane])).unwrap();
        let mut environment = vec![
            ("KT_HOME", home.to_str().unwrap().to_owned()),
            ("KT_TOKEN_FILE", self.plane.token_file().to_str().unwrap().to_owned()),
        ];
        environment.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Settings::from_args(args, Environment::fixed(environment)).unwrap()
    }
}

/// A valid pack for a provider at this URL whose key is in this variable.
pub fn pack(provider: &str, version: &str, policies: &str, key: &str) -> String {
    format!(
        "pack:\n  name: local-dev\n  version: {version}\n  enabled: true\nproviders:\n  targets:\n    \
         - id: upstream\n      provider: openai-compatible\n      model: \"*\"\n      \
         base_url: {provider}\n      secret_key_ref: {{env: {key}}}\npolicies:\n  chain: [{policies}]\n"
    )
}
