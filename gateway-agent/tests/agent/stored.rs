//! A gateway that was installed: what its starts take from its directory, and what they never do.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use instance::{Action, Outcome};
use nix::sys::signal::Signal;
use policy_config::ConfigDigest;

use crate::installed::{Installed, NAME};
use crate::support::{eventually, pack, pack_with_key};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_activates_what_was_installed_and_no_start_reads_the_file() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    fs::write(gateway.policy_file(), pack("0.9.0")).unwrap();
    let mut first = gateway.launch(&[]);
    gateway.until_steers(&mut first).await;
    gateway.until_serves("0.1.0").await;
    first.signal(Signal::SIGHUP);
    gateway.until_serves("0.9.0").await;

    fs::write(gateway.policy_file(), b"pack: [").unwrap();
    first.kill();
    let mut second = gateway.launch(&[]);
    gateway.until_steers(&mut second).await;
    gateway.until_serves("0.9.0").await;
    let pid = second.child.id();
    eventually("status.json tells it", || {
        let text = fs::read_to_string(gateway.place.last_status()).unwrap_or_default();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let told = (told["pid"].as_u64(), told["observed"]["version"].as_str().map(str::to_owned));
        if told == (Some(pid.into()), Some("0.9.0".to_owned())) { Ok(()) } else { Err(told) }
    })
    .await;
    assert!(second.end().await.success());
    assert!(
        gateway.history().iter().all(|record| record.action == Action::Reload),
        "starts are the supervisor's"
    );
    // What `describe` of a run would write is not what was installed.
    assert!(fs::read_to_string(gateway.place.description()).unwrap().contains("\"installed\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_pack_that_is_refused_ends_the_start_and_is_there_for_the_next() {
    let gateway = Installed::with(&pack_with_key("0.1.0"), "0.1.0");
    for _ in 0..2 {
        let (code, stderr) = gateway.refused(gateway.supervised(&[]));
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("at stage secrets") && stderr.contains("LOCAL_API_KEY"), "{stderr}");
    }
    let mut command = gateway.supervised(&[]);
    command.env("LOCAL_API_KEY", "sk-1");
    let mut process = gateway.spawn(command);
    gateway.until_steers(&mut process).await;
    gateway.until_serves("0.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spoiled_state_is_served_with_503_and_never_an_exit() {
    let source = pack("0.1.0");
    let gateway = Installed::with(&source, "0.1.0");
    fs::write(gateway.place.pack(ConfigDigest::of(&source)), b"spoiled").unwrap();
    let process = gateway.launch(&[]);
    process.until_log("serving listen=").await;
    assert!(gateway.head("/v1/models").starts_with("HTTP/1.1 503"));
    assert!(gateway.head("/readyz").starts_with("HTTP/1.1 503"));
    let status = gateway.status().expect("the door is open");
    assert!(!status.ready && status.observed.is_none(), "{status:?}");
    process.signal(Signal::SIGHUP);
    gateway.until_serves("0.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_that_is_another_gateways_does_not_bring_the_installed_pack_back() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let mut process = gateway.launch(&[]);
    gateway.until_steers(&mut process).await;
    fs::write(gateway.policy_file(), pack("0.2.0")).unwrap();
    process.signal(Signal::SIGHUP);
    gateway.until_serves("0.2.0").await;
    assert!(process.end().await.success());

    let mut other = std::process::Command::new(env!("CARGO_BIN_EXE_kt-gateway"));
    other.args(["--name", "other", "--policy-config", "p.yaml", "--listen", "127.0.0.1:0"]);
    other.current_dir(gateway.home.path()).env_clear().stdin(Stdio::null());
    other.env("KT_HOME", gateway.home.path().join("kt")).env("HOME", gateway.home.path());
    let mut other = gateway.spawn(other);
    other.until_log("serving listen=").await;
    assert!(other.end().await.success());
    let dir = gateway.place.dir();
    fs::copy(dir.with_file_name("other").join("standing.json"), dir.join("standing.json")).unwrap();
    let _ = fs::remove_file(dir.join("standing.previous.json"));

    // Nor does the start after it, which finds what the one before made of it.
    for _ in 0..2 {
        let mut process = gateway.launch(&[]);
        process.until_log("serving listen=").await;
        assert!(gateway.head("/v1/models").starts_with("HTTP/1.1 503"));
        let status = gateway.status().expect("the door is open");
        assert!(!status.ready && status.observed.is_none(), "{status:?}");
        assert!(status.remarks.iter().any(|remark| remark.contains("kt gateway reload")), "{status:?}");
        assert!(process.end().await.success());
    }
    let process = gateway.launch(&[]);
    process.until_log("serving listen=").await;
    process.signal(Signal::SIGHUP);
    gateway.until_serves("0.2.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_before_its_pack_is_durable_is_still_to_come() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    for place in ["keep.before", "standing.staged"] {
        let mut command = gateway.supervised(&[]);
        command.env("KT_FAILPOINTS", format!("{place}=return(abort)"));
        let mut process = gateway.spawn(command);
        assert!(!process.until_ended().await.success());
        assert!(process.log().contains("failpoint struck"), "{}", process.log());
    }
    let mut process = gateway.launch(&[]);
    gateway.until_steers(&mut process).await;
    gateway.until_serves("0.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_source_is_the_installation_and_its_start_and_end_are_recorded() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let mut process = gateway.spawn(gateway.command(&["--listen", "127.0.0.1:0"]));
    gateway.until_steers(&mut process).await;
    let listen = gateway.status().and_then(|status| status.listen).unwrap();
    assert_ne!(listen, gateway.address.to_string(), "what is typed wins");
    assert_eq!(
        gateway.refused(gateway.command(&["--listen", "127.0.0.1:0"])).0,
        6,
        "one directory, one gateway"
    );
    process.signal(Signal::SIGINT);
    assert!(process.until_ended().await.success());
    // The port of the installation is not free.
    let (code, stderr) = gateway.refused(gateway.command(&[]));
    assert_eq!(code, 6, "{stderr}");

    let told: Vec<_> =
        gateway.history().into_iter().map(|record| (record.action, record.outcome, record.actor)).collect();
    let user = gateway_agent::holding::user();
    assert_eq!(
        told,
        [
            (Action::Start, Outcome::Succeeded, user.clone()),
            (Action::Stop, Outcome::Succeeded, "SIGINT".to_owned()),
            (Action::Start, Outcome::Failed, user),
        ]
    );
    let history = gateway.history();
    let ran = |version: &Option<instance::documents::Version>| version.clone().and_then(|ran| ran.version);
    assert_eq!(ran(&history[0].observed).as_deref(), Some("0.1.0"));
    assert_eq!(ran(&history[1].from).as_deref(), Some("0.1.0"));
    assert!(history[2].reason.as_deref().unwrap().contains("the address is in use"), "{history:?}");
    assert!(!gateway.place.admin_socket().exists());
}

#[test]
fn what_is_not_valid_in_it_is_said_to_be_of_instance_json() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let start = |arguments: &[&str]| gateway.refused(gateway.supervised(arguments));
    let (code, stderr) = gateway.refused(gateway.command(&["--stored", "--name", "nosuch"]));
    assert!(code == 2 && stderr.contains("--name"), "clap refuses it twice: {stderr}");

    let described = fs::read(gateway.place.description()).unwrap();
    gateway.describe(|description| description.listen = "0.0.0.0".to_owned());
    let (code, stderr) = start(&[]);
    assert!(code == 2 && stderr.contains("instance.json: --listen: `0.0.0.0` is not an address"), "{stderr}");
    let (code, stderr) = start(&["--listen", "here"]);
    assert!(code == 2 && stderr.contains("error: --listen: `here`"), "what was typed: {stderr}");
    gateway.describe(|description| {
        description.listen = "127.0.0.1:0".to_owned();
        description.env_file = Some(gateway.home.path().join("gone.env"));
    });
    let (code, stderr) = start(&[]);
    assert!(code == 3 && stderr.contains("instance.json: --env-file: there is no"), "{stderr}");
    for spoiled in [&b""[..], b"{", b"[]", b"{\"name\":\"another\"}", &described[..described.len() / 2]] {
        fs::write(gateway.place.description(), spoiled).unwrap();
        let (code, stderr) = start(&[]);
        assert!(code == 2 && stderr.contains("error: instance.json: `"), "{stderr}");
    }
    fs::remove_file(gateway.place.description()).unwrap();
    let (code, stderr) = start(&[]);
    assert!(code == 3 && stderr.contains(&format!("gateway `{NAME}` is not installed")), "{stderr}");
    assert!(!gateway.place.lock().exists() && !gateway.place.history().exists(), "nothing was held");
}

#[test]
fn a_stdin_that_is_no_socket_to_accept_from_is_refused() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let unix = UnixListener::bind(gateway.home.path().join("s.sock")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    for (stdin, says) in [
        (Stdio::null(), "it is no TCP socket"),
        (Stdio::from(OwnedFd::from(unix)), "it is no TCP socket"),
        (Stdio::from(OwnedFd::from(connected)), "it does not listen"),
    ] {
        let mut command = gateway.supervised(&[]);
        command.stdin(stdin);
        let (code, stderr) = gateway.refused(command);
        assert!(code == 2 && stderr.contains(says), "{stderr}");
    }
    let (code, stderr) = gateway.refused(gateway.command(&["--take-over"]));
    assert!(code == 2 && stderr.contains("--supervised"), "{stderr}");
}

#[test]
fn a_check_says_what_a_start_would_and_makes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let keys = home.path().join("keys.env");
    fs::write(&keys, "A_API_KEY=1\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(home.path().join("p.yaml"), pack("0.1.0")).unwrap();
    let file = ["--policy-config", "p.yaml"];
    for (arguments, code, says) in [
        (&[][..], 0, ""),
        (&["--listen", "127.0.0.1:80"], 0, ""),
        (&["--listen", "localhost:0", "--metrics-listen", "[::1]:0"], 0, ""),
        (&["--listen", "0.0.0.0"], 2, "127.0.0.1:41002"),
        (&["--listen", ":99999"], 2, "127.0.0.1:41002"),
        (&["--listen", "host:abc"], 2, "127.0.0.1:41002"),
        (&["--listen", "[::1"], 2, "127.0.0.1:41002"),
        (&["--listen", ""], 2, "127.0.0.1:41002"),
        (&["--metrics-listen", "0.0.0.0:9"], 2, "loopback"),
        (&["--max-body", "12MB"], 2, "16MiB"),
        (&["--label", "x"], 2, "KEY=VALUE"),
        (&["--secret-env", "A-B"], 2, "*_API_KEY"),
        (&["--env-file", "keys.env"], 2, "chmod 600"),
        (&["--env-file", "gone.env"], 3, "gone.env"),
        (&["--working-dir", "gone"], 3, "--working-dir"),
        (&["--working-dir", "p.yaml"], 2, "not a directory"),
        (&["--name", "A"], 2, "--name"),
        (&["--fleet", "prod"], 2, "one source"),
        (&["--stored", "--name", "nosuch"], 3, "is not installed"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kt-gateway"));
        command.arg("--check").args(file).args(arguments).current_dir(home.path()).env_clear();
        command.env("HOME", home.path()).env("KT_HOME", home.path().join("kt"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty() && stderr.contains(says), "{arguments:?}: {stderr}");
        assert_eq!(stderr.is_empty(), code == 0, "{arguments:?}: {stderr}");
    }
    assert!(!home.path().join("kt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_stops_nobody() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let broken_pipe = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for stderr in [broken_pipe(), Stdio::from(full)] {
        let mut command = gateway.supervised(&[]);
        command.env("RUST_LOG", "debug").stderr(stderr);
        let mut child = command.spawn().unwrap();
        eventually("it serves", || {
            let status = gateway.status();
            let serves = status.as_ref().is_some_and(|status| status.ready && status.pid == Some(child.id()));
            if serves { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
        for _ in 0..50 {
            assert!(gateway.head("/v1/models").starts_with("HTTP/1.1 200"));
        }
        let version = format!("0.{}.0", child.id());
        fs::write(gateway.policy_file(), pack(&version)).unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
        gateway.until_serves(&version).await;
        nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
        let status = eventually("it ends", || child.try_wait().unwrap().ok_or("runs")).await;
        assert!(status.success(), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminals_interrupt_is_not_for_a_supervised_gateway() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let mut process = gateway.launch(&[]);
    gateway.until_steers(&mut process).await;
    process.signal(Signal::SIGINT);
    process.signal(Signal::SIGHUP);
    process.until_log("no change").await;
    assert!(process.child.try_wait().unwrap().is_none());
    assert!(process.end().await.success());
    assert!(!process.log().contains("SIGINT"), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_telling_stops_no_start() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let dir = gateway.place.dir();
    nix::unistd::mkfifo(&gateway.place.history(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(gateway.place.last_status()).unwrap();
    fs::create_dir(gateway.place.admin_socket()).unwrap();
    let victim = gateway.home.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    for name in ["status.json.tmp", "history.lock"] {
        std::os::unix::fs::symlink(&victim, dir.join(name)).unwrap();
    }
    let mut process = gateway.spawn(gateway.command(&["--listen", "127.0.0.1:0", "--stored"]));
    process.until_log("serving listen=").await;
    let log = process.log();
    for says in ["not in history.jsonl", "status.json cannot be written", "no admin socket"] {
        process.until_log(says).await;
    }
    let address = log.split("serving listen=").nth(1).unwrap().split_whitespace().next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(process.end().await.success());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}
