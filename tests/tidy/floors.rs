//! The floors of ARCHITECTURE.md: which crate may depend on which, and what a pure crate must not know.

/// A crate, its workspace dependencies, and those it may have in tests only. A new edge is a change of the
/// architecture and is reviewed as one.
struct Floor(&'static str, &'static [&'static str], &'static [&'static str]);

const FLOORS: [Floor; 14] = [
    Floor("policy-config", &[], &[]),
    Floor("service-kit", &[], &[]),
    Floor("pg-private", &[], &[]),
    Floor("instance", &["policy-config", "service-kit"], &[]),
    Floor("fake-provider", &["service-kit"], &[]),
    Floor("policy-engine", &["policy-config"], &[]),
    Floor("fleet-core", &["policy-config"], &[]),
    Floor("proto", &["fleet-core", "policy-config"], &[]),
    Floor(
        "control-plane",
        &["policy-config", "policy-engine", "fleet-core", "proto", "service-kit", "pg-private"],
        &[],
    ),
    Floor(
        "gateway-agent",
        &["policy-config", "policy-engine", "fleet-core", "proto", "service-kit", "instance"],
        &["fake-provider"],
    ),
    Floor(
        "kt",
        &[
            "policy-config",
            "policy-engine",
            "fleet-core",
            "proto",
            "service-kit",
            "instance",
            "fake-provider",
        ],
        &[],
    ),
    Floor(
        "tests",
        &[
            "policy-config",
            "policy-engine",
            "fleet-core",
            "proto",
            "service-kit",
            "instance",
            "pg-private",
            "fake-provider",
            "control-plane",
            "gateway-agent",
            "kt",
        ],
        &[],
    ),
    Floor("bench", &["policy-config", "policy-engine", "service-kit", "instance", "fake-provider"], &[]),
    Floor("xtask", &[], &[]),
];

const PURE: [&str; 3] = ["policy-config", "policy-engine", "fleet-core"];
const IMPURE_CRATES: [&str; 16] = [
    "tokio",
    "tokio-util",
    "tokio-stream",
    "tonic",
    "prost",
    "hyper",
    "hyper-util",
    "sqlx",
    "tracing",
    "metrics",
    "rand",
    "fastrand",
    "getrandom",
    "nix",
    "tempfile",
    "arc-swap",
];
/// `fleet-core` is no promise to anyone, so nothing of it is serialised.
const NO_SERDE: &str = "fleet-core";
const IMPURE_PATHS: [&str; 13] = [
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "SystemTime",
    "Instant::now",
    "now_utc",
    "File::open",
];

/// Workspace edges that are not in the table.
pub(crate) fn edges(manifest: &str) -> Vec<String> {
    let name = package(manifest);
    let Some(Floor(_, always, in_tests)) = FLOORS.iter().find(|floor| floor.0 == name) else {
        return vec![format!("{name}: a crate without a floor; give it one in tests/tidy/floors.rs")];
    };
    let ours = |dependency: &str| FLOORS.iter().any(|floor| floor.0 == dependency);
    let allowed = |section: &str, dependency: &str| {
        always.contains(&dependency) || section == "dev-dependencies" && in_tests.contains(&dependency)
    };
    dependencies(manifest)
        .filter(|(section, dependency)| ours(dependency) && !allowed(section, dependency))
        .map(|(section, dependency)| format!("{name}: `{dependency}` in [{section}] is no allowed edge"))
        .collect()
}

/// Crates that would bring I/O, time or chance into a pure crate. Its tests may use them.
pub(crate) fn impurities(manifest: &str) -> Vec<String> {
    let name = package(manifest);
    if !PURE.contains(&name) {
        return Vec::new();
    }
    let impure = |dependency: &str| {
        IMPURE_CRATES.contains(&dependency) || name == NO_SERDE && dependency.starts_with("serde")
    };
    dependencies(manifest)
        .filter(|(section, dependency)| *section == "dependencies" && impure(dependency))
        .map(|(_, dependency)| format!("{name}: pure, so not with `{dependency}`"))
        .collect()
}

/// The standard library's own doors to the world.
pub(crate) fn reaches(path: &str, text: &str) -> Vec<String> {
    if !PURE.iter().any(|name| path.starts_with(&format!("crates/{name}/src/"))) {
        return Vec::new();
    }
    super::places::code_lines(path, text)
        .flat_map(|(number, line)| {
            IMPURE_PATHS
                .iter()
                .filter(move |door| line.contains(**door))
                .map(move |door| format!("{path}:{number}: pure, so not with `{door}`"))
        })
        .collect()
}

fn package(manifest: &str) -> &str {
    let line = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap_or_default();
    line.trim_matches('"')
}

/// Each section and the name of a dependency in it.
fn dependencies(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    manifest.lines().filter_map(move |line| {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end().trim_end_matches(']');
            return None;
        }
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        let is_dependency = section.ends_with("dependencies") && !name.is_empty() && !name.starts_with('#');
        is_dependency.then_some((section, name))
    })
}

#[test]
fn an_edge_upwards_or_sideways_is_found() {
    let manifest = "[package]\nname = \"kt\"\n[dependencies]\nproto.workspace = true\n\
                    control-plane = { path = \"x\" }\n[dev-dependencies]\ngateway-agent.workspace = true\n";
    assert_eq!(
        edges(manifest),
        [
            "kt: `control-plane` in [dependencies] is no allowed edge",
            "kt: `gateway-agent` in [dev-dependencies] is no allowed edge",
        ]
    );
    assert_eq!(edges("name = \"new-thing\"\n").len(), 1);
    let in_tests = "name = \"gateway-agent\"\n[dev-dependencies]\nfake-provider.workspace = true\n";
    assert!(edges(in_tests).is_empty());
    assert_eq!(edges(&in_tests.replace("dev-", "")).len(), 1);
}

#[test]
fn impurity_is_found_in_manifest_and_code() {
    let manifest = "name = \"fleet-core\"\n[dependencies]\ntokio.workspace = true\nserde = \"1\"\n\
                    [dev-dependencies]\ntempfile.workspace = true\n";
    assert_eq!(impurities(manifest).len(), 2);
    assert!(impurities(&manifest.replace("fleet-core", "kt")).is_empty());
    let code = "//! Head.\nfn now() { std::time::SystemTime::now(); } // std::fs in words\n";
    assert_eq!(reaches("crates/fleet-core/src/time.rs", code).len(), 1);
    assert!(reaches("kt/src/main.rs", code).is_empty());
}
