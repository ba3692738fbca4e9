//! What the suites share: packs, settings of a gateway on port 0, and waiting for a condition.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use fleet_core::gateway::Labels;
use gateway_agent::app::gateway::Gateway;
use gateway_agent::control::identity::TokenFile;
use gateway_agent::settings::{ControlPlaneSource, Environment, SecretGlob, Settings, Source};
use service_kit::clock::Clock;
use tempfile::TempDir;

/// For a machine with many suites on few cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A valid pack that needs no key.
pub(crate) fn pack(version: &str) -> Vec<u8> {
    pack_with(version, "")
}

/// A valid pack whose one target has one more line.
pub(crate) fn pack_with(version: &str, target_line: &str) -> Vec<u8> {
    format!(
        "pack:\n  name: local-dev\n  version: {version}\n  enabled: true\nproviders:\n  targets:\n    \
         - id: local\n      provider: openai-compatible\n      model: \"*\"\n      \
         base_url: http://127.0.0.1:9\n{target_line}policies:\n  chain: [prompt-injection, audit-logger]\n\
         policy:\n  prompt-injection: {{}}\n  audit-logger: {{}}\n"
    )
    .into_bytes()
}

/// A valid pack whose key is the variable `LOCAL_API_KEY`.
pub(crate) fn pack_with_key(version: &str) -> Vec<u8> {
    pack_with(version, "      secret_key_ref: {env: LOCAL_API_KEY}\n")
}

pub(crate) fn settings(home: &Path, source: Source) -> Settings {
    Settings {
        name: "edge-1".parse().unwrap(),
        listen: "127.0.0.1:0".parse().unwrap(),
        source,
        home: home.to_owned(),
        labels: Labels::new([("region".to_owned(), "eu".to_owned())]).unwrap(),
        env_file: None,
        secret_globs: vec![SecretGlob::new("*_API_KEY").unwrap()],
        decision_log: None,
        metrics_listen: None,
        max_body: 1024 * 1024,
        max_in_flight: 4096,
        max_connections: 16_384,
        working_dir: home.to_owned(),
        environment: Environment::fixed::<&str, &str>([]),
        drain_deadline: Duration::from_secs(5),
        proving_time: Duration::from_secs(60),
    }
}

/// Settings of a managed gateway whose operator token lies in `home`.
pub(crate) fn managed(home: &TempDir, url: &str) -> Settings {
    let token = home.path().join("operator.token");
    if !token.exists() {
        write_private(&token, b"kt_operator\n");
    }
    let source = ControlPlaneSource {
        url: url.parse().unwrap(),
        fleet: "prod".parse().unwrap(),
        operator_token: TokenFile::Named(token),
    };
    settings(home.path(), Source::ControlPlane(source))
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) async fn start(settings: Settings) -> Gateway {
    Gateway::start(settings, Clock::system()).await.unwrap()
}

/// The version in force, as a client would see it.
pub(crate) fn version(gateway: &Gateway) -> Option<String> {
    gateway.policy().map(|policy| policy.version.to_string())
}

/// Waits until `look` finds something; when patience ends, tells what it saw last.
pub(crate) async fn eventually<T, E: Debug>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if tokio::time::Instant::now() > deadline => panic!("{what}: last seen {seen:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Waits until this version is in force.
pub(crate) async fn until_version(gateway: &Gateway, wanted: &str) {
    eventually(wanted, || match version(gateway) {
        Some(found) if found == wanted => Ok(()),
        other => Err(other),
    })
    .await;
}
