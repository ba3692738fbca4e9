//! A real gateway, as it is shipped, in a home of its own, and the fake provider behind it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use fake_provider::FakeProvider;
use instance::documents::{Status, routes};
use instance::{Description, Place};
use serde_json::{Value, json};
use service_kit::drain::{self, DrainTrigger, DrainWatcher};
use tempfile::TempDir;

use crate::client::Client;

/// A gateway that serves; killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    home: TempDir,
    place: Place,
    provider: String,
    policies: Policies,
    pub(crate) address: SocketAddr,
    pub(crate) tasks: DrainWatcher,
    _trigger: DrainTrigger,
}

/// What its packs say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Policies {
    All,
    /// To tell what the policies cost from what the gateway does.
    None,
}

const START_LIMIT: Duration = Duration::from_secs(10);

// === impl Gateway ===

impl Gateway {
    /// In front of the fake provider, which runs here.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (trigger, tasks) = drain::channel();
        let bound = FakeProvider::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let provider = bound.addr;
        tasks.spawn("fake provider", bound.serve(tasks.clone()));
        Self::begin(provider, Policies::All, trigger, tasks).await
    }

    /// In front of a provider that runs already.
    pub(crate) async fn start_before(provider: SocketAddr, policies: Policies) -> anyhow::Result<Self> {
        let (trigger, tasks) = drain::channel();
        Self::begin(provider, policies, trigger, tasks).await
    }

    async fn begin(
        provider: SocketAddr,
        policies: Policies,
        trigger: DrainTrigger,
        tasks: DrainWatcher,
    ) -> anyhow::Result<Self> {
        let provider = format!("http://{provider}");
        let home = tempfile::tempdir()?;
        let pack = home.path().join("pack.yaml");
        std::fs::write(&pack, text(&provider, policies, "0.0.1"))?;
        let child = spawn(home.path(), "127.0.0.1:0")?;
        let place = Place::new(&home.path().join("state"), "bench");
        let mut gateway = Self {
            child,
            home,
            place,
            provider,
            policies,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tasks,
            _trigger: trigger,
        };
        gateway.address = gateway.until_ready().await?;
        Ok(gateway)
    }

    /// Ends it in order and starts it again where it was: from the pack that it keeps on disk.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        self.child.wait()?;
        self.child = spawn(self.home.path(), &self.address.to_string())?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to its door.
    pub(crate) async fn door(&self) -> anyhow::Result<Client> {
        Client::to_socket(&self.place.admin_socket(), &self.tasks).await
    }

    /// Writes the pack of this version, and answers the request that loads it.
    pub(crate) fn write(&self, version: &str) -> anyhow::Result<Value> {
        std::fs::write(self.home.path().join("pack.yaml"), text(&self.provider, self.policies, version))?;
        Ok(json!({"config_path": "pack.yaml"}))
    }

    async fn until_ready(&mut self) -> anyhow::Result<SocketAddr> {
        let began = Instant::now();
        loop {
            if let Some(ended) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
                bail!("the gateway ended at once ({ended}): {log}");
            }
            if let Ok(mut door) = self.door().await {
                let status: Status = serde_json::from_slice(&door.ask(routes::STATUS, None).await?)?;
                if status.ready {
                    let told = Description::read(&self.place)?.context("no instance.json")?;
                    return Ok(told.listen.parse()?);
                }
            }
            if began.elapsed() > START_LIMIT {
                bail!("the gateway is not ready");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(home: &Path, listen: &str) -> anyhow::Result<Child> {
    let log = std::fs::File::create(home.join("log"))?;
    let mut command = Command::new(program("kt-gateway")?);
    command
        .args(["--name", "bench", "--listen", listen, "--policy-config", "pack.yaml"])
        .current_dir(home)
        .env("KT_HOME", home.join("state"))
        .env("BENCH_API_KEY", "sk-bench")
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(command.spawn()?)
}

/// A program of this build.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let program = here.parent().unwrap_or(Path::new(".")).join(name);
    if program.is_file() {
        return Ok(program);
    }
    bail!("`{}` is not built; run `cargo xtask bench`, which builds first", program.display())
}

/// The example pack with every policy that there is, or with the one that only writes, for this provider.
fn text(provider: &str, policies: Policies, version: &str) -> String {
    let policies = match policies {
        Policies::All => {
            "policies:\n  chain: [prompt-injection, pii-detector, audit-logger]\npolicy:\n  prompt-injection:\n    response: \
             {action: block, message: \"blocked\"}\n  pii-detector: {action: redact}\n  audit-logger: {}\n"
        }
        Policies::None => "policies:\n  chain: [audit-logger]\npolicy:\n  audit-logger: {}\n",
    };
    format!(
        "pack:\n  name: bench\n  version: {version}\n  enabled: true\nproviders:\n  targets:\n    - id: bench\n      \
         provider: openai\n      model: gpt-5.4-mini-mini\n      base_url: {provider}\n      secret_key_ref: {{env: \
         BENCH_API_KEY}}\n{policies}"
    )
}
