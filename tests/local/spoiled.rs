//! What disks, people and other programs do to a gateway's directory: it serves the right pack or none, says so, and
//! never loops.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::{CHAIN, Provider};
use tests::host::Host;
use tests::http::Http;

const SECOND: &str = include_str!("../../examples/policy-config-0.1.1.yaml");

/// A gateway that ran 0.1.0, then 0.1.1, and is stopped.
async fn stopped() -> (Provider, Host, String) {
    let provider = Provider::start().await;
    let host = Host::new();
    host.writes("policy-config.yaml", provider.pack("0.1.0", CHAIN));
    let listen = host.serves("a");
    host.writes("policy-config.yaml", provider.pack("0.1.1", CHAIN));
    host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    host.types("kt gateway stop --name a").ok();
    (provider, host, listen)
}

fn pack_file(host: &Host, version: &str) -> std::path::PathBuf {
    let packs = fs::read_dir(host.dir("a").join("packs")).unwrap().flatten().map(|entry| entry.path());
    let words = format!("version: {version}");
    packs.into_iter().find(|path| fs::read_to_string(path).unwrap().contains(&words)).expect("a kept pack")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_standing_or_pack_falls_back_and_is_said() {
    let (_provider, host, _) = stopped().await;
    let standing = host.dir("a").join("standing.json");
    fs::write(&standing, b"").unwrap();
    host.types("kt gateway start --name a").ok();
    let status = host.status("a");
    assert!(["0.1.0", "0.1.1"].contains(&status["observed"]["version"].as_str().unwrap()), "{status}");
    assert!(status["remarks"].to_string().contains("standing.json"), "said: {status}");
    let aside = fs::read_dir(host.dir("a")).unwrap().flatten();
    assert!(
        aside.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("standing.json.bad"))
    );
    host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    host.types("kt gateway stop --name a").ok();

    let newest = pack_file(&host, "0.1.1");
    let mut bytes = fs::read(&newest).unwrap();
    bytes[20] ^= 1;
    fs::write(&newest, bytes).unwrap();
    host.types("kt gateway start --name a").ok();
    let status = host.status("a");
    assert_eq!(status["observed"]["version"], "0.1.0", "last known good: {status}");
    assert_ne!(status["remarks"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nothing_left_it_answers_503_and_takes_a_new_pack() {
    let (provider, host, listen) = stopped().await;
    for name in ["standing.json", "standing.previous.json"] {
        let _ = fs::remove_file(host.dir("a").join(name));
    }
    for entry in fs::read_dir(host.dir("a").join("packs")).unwrap().flatten() {
        fs::write(entry.path(), b"pack: [").unwrap();
    }
    let said = host.types("kt gateway start --name a --timeout 5s");
    let pid = host.pid("a");
    let answer = Http::new().get(&format!("http://{listen}/v1/models")).await.unwrap();
    assert_eq!(answer.status, 503, "{said}");
    assert_eq!(answer.json().unwrap()["error"]["code"], "no_policy_loaded");
    host.writes("policy-config.yaml", provider.pack("0.1.2", CHAIN));
    host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    let status = host.status("a");
    assert_eq!(
        (&status["observed"]["version"], &status["pid"]),
        (&json!("0.1.2"), &json!(pid)),
        "no exit loop"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_history_is_read_past_and_the_note_is_on_stderr() {
    let (_provider, host, _) = stopped().await;
    let before = host.history("a").len();
    let path = host.dir("a").join("history.jsonl");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"id\":\"half");
    fs::write(&path, text).unwrap();
    let said = host.types("kt gateway status --name a --history-json").ok();
    assert_eq!(said.json().as_array().unwrap().len(), before);
    assert!(said.stderr.contains('1') && said.stderr.contains("unreadable"), "{said}");
    host.types("kt gateway start --name a").ok();
    assert_eq!(host.history("a").len(), before + 1, "the next line is whole");
    let said = host.types("kt gateway status --name a --history-json --history-limit 1").ok();
    assert_eq!(said.json()[0]["action"], "start");
    assert_eq!(host.types("kt gateway status --name a --history-json --history-action frobnicate").code, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_gateway_on_the_directory_is_refused() {
    let (_provider, host, _) = stopped().await;
    host.types("kt gateway start --name a").ok();
    let said = host.types("kt gateway run --name a --listen 127.0.0.1:0 --policy-config policy-config.yaml");
    assert_eq!(said.code, 6, "{said}");
    assert_eq!(host.status("a")["ready"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_takes_no_writes_keeps_what_runs() {
    // Root writes where nobody may.
    let host = Host::ordinary().unwrap_or_else(Host::new);
    let provider = Provider::start().await;
    host.writes("policy-config.yaml", provider.pack("0.1.0", CHAIN));
    host.serves("a");
    host.writes("policy-config.yaml", provider.pack("0.1.1", CHAIN));
    let closed = ["", "packs"].map(|name| host.dir("a").join(name));
    for dir in &closed {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o500)).unwrap();
    }
    let said = host.types("kt gateway reload --name a --config-path policy-config.yaml --json");
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stderr.contains("storage") && said.stderr.contains("packs"), "it names the place: {said}");
    let status = host.status("a");
    assert_eq!((&status["observed"]["version"], &status["in_sync"]), (&json!("0.1.0"), &json!(false)));
    for dir in &closed {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    host.until("a", "it is in sync", |status| status["in_sync"] == true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_the_way_of_a_reload_is_refused_and_does_not_hang() {
    let host = Host::new();
    host.writes("policy-config.yaml", include_str!("../../examples/policy-config.yaml"));
    host.serves("a");
    let home = host.home();
    host.writes("inside.yaml", SECOND);
    std::os::unix::fs::symlink("inside.yaml", home.join("link.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc", home.join("linked")).unwrap();
    nix::unistd::mkfifo(&home.join("fifo.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(home.join("socket.yaml")).unwrap();
    fs::File::create(home.join("sparse.yaml")).unwrap().set_len(10 << 30).unwrap();
    fs::write(home.join("large.yaml"), vec![b'#'; 257 * 1024]).unwrap();
    for path in [
        "link.yaml",
        "linked/passwd",
        "fifo.yaml",
        "socket.yaml",
        "sparse.yaml",
        "large.yaml",
        "./../x",
        "linked",
    ] {
        let began = tokio::time::Instant::now();
        let said = host.types(&format!("kt gateway reload --name a --config-path {path} --json"));
        assert_eq!(said.code, 2, "{path}: {said}");
        assert!(began.elapsed() < Duration::from_secs(2), "{path}");
        assert!(!said.stderr.contains("root:"), "no content: {said}");
        assert!(!said.error()["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(host.status("a")["observed"]["version"], "0.1.0");
}
