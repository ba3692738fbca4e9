//! The program as it is started: exit codes, SIGHUP, SIGTERM, what it leaves in its directory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use instance::{Action, History, Outcome};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{eventually, pack};

fn command(home: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kt-gateway"));
    command.args(arguments).current_dir(home.path()).env_clear();
    command.env("KT_HOME", home.path().join("kt")).env("HOME", home.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A gateway process that is killed with its test.
struct Program {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Program {
    fn start(home: &TempDir, arguments: &[&str]) -> Self {
        Self::spawn(command(home, arguments))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for a line of the log that holds this.
    fn until_log(&mut self, wanted: &str) {
        let mut seen = String::new();
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            if line.contains(wanted) {
                return;
            }
            seen.push_str(&std::mem::take(&mut line));
        }
        panic!("the log ended without {wanted:?}:\n{seen}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn description(home: &TempDir) -> serde_json::Value {
    let path = home.path().join("kt/gateways/default/instance.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Status line and headers of one request.
fn head(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address.parse::<SocketAddr>().unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn refused(home: &TempDir, arguments: &[&str]) -> (i32, String) {
    let output = command(home, arguments).output().unwrap();
    assert_eq!(output.stdout, b"", "stdout is for data");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn wrong_usage_leaves_no_trace() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, code, says) in [
        (&[][..], 2, "a gateway needs a source"),
        (&["--policy-config", "gone.yaml"], 3, "there is no `gone.yaml`"),
        (&["--policy-config", "."], 2, "not a regular file"),
        (&["--no-such-flag"], 2, "--no-such-flag"),
        (&["--policy-config", "p.yaml", "--listen", "here"], 2, "127.0.0.1:41002"),
        (&["--fleet", "prod", "--control-plane", "https://cp:7443"], 2, "loopback only"),
    ] {
        let (found, stderr) = refused(&home, arguments);
        assert_eq!(found, code, "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
    assert!(!home.path().join("kt").exists());
}

#[test]
fn it_serves_a_file_reads_it_again_and_drains() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("p.yaml");
    fs::write(&file, pack("0.1.0")).unwrap();
    let arguments =
        ["--policy-config", "p.yaml", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let mut program = Program::start(&home, &arguments);
    program.until_log("serving listen=");

    let told = description(&home);
    assert_eq!((told["name"].as_str(), told["source"].as_str()), (Some("default"), Some("local")));
    let address = told["listen"].as_str().unwrap().to_owned();
    let models = head(&address, "/v1/models");
    assert!(models.starts_with("HTTP/1.1 200") && models.contains("x-kt-config-version: 0.1.0"), "{models}");

    fs::write(&file, pack("0.2.0")).unwrap();
    program.signal(Signal::SIGHUP);
    program.until_log("policy activated version=0.2.0");
    assert!(head(&address, "/v1/models").contains("x-kt-config-version: 0.2.0"));

    fs::write(&file, b"pack: [\n").unwrap();
    program.signal(Signal::SIGHUP);
    program.until_log("p.yaml:");
    assert!(head(&address, "/v1/models").contains("x-kt-config-version: 0.2.0"));

    program.signal(Signal::SIGTERM);
    program.until_log("stopped");
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
    let instance = home.path().join("kt/gateways/default");
    for (path, mode) in [("", 0o700), ("packs", 0o700), ("standing.json", 0o600), ("instance.json", 0o600)] {
        let found = fs::metadata(instance.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
}

#[test]
fn another_program_that_keeps_the_history_does_not_keep_the_end() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("p.yaml"), pack("0.1.0")).unwrap();
    let arguments = ["--policy-config", "p.yaml", "--listen", "127.0.0.1:0"];
    let mut program = Program::start(&home, &arguments);
    program.until_log("serving listen=");
    let dir = home.path().join("kt/gateways/default");
    let kept = instance::lock::Lock::wait(&dir.join("history.lock")).unwrap();
    let began = Instant::now();
    program.signal(Signal::SIGTERM);
    program.until_log("not in history.jsonl: another program holds its lock");
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let standing = fs::read_to_string(dir.join("standing.json")).unwrap();
    assert!(standing.contains(r#""running":false"#), "{standing}");
    drop(kept);
}

#[test]
fn a_hangup_that_finds_no_file_is_told() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("p.yaml");
    fs::write(&file, pack("0.1.0")).unwrap();
    let arguments = ["--policy-config", "p.yaml", "--listen", "127.0.0.1:0"];
    let mut program = Program::start(&home, &arguments);
    program.until_log("serving listen=");
    fs::remove_file(&file).unwrap();
    program.signal(Signal::SIGHUP);
    program.until_log("reload failed, the old policy serves on");
    let told = History::at(home.path().join("kt/gateways/default/history.jsonl")).read().unwrap().records;
    let last = told.last().unwrap();
    assert_eq!((last.action, last.outcome, last.actor.as_str()), (Action::Reload, Outcome::Failed, "SIGHUP"));
    assert!(last.reason.as_deref().unwrap().contains("there is no `"), "{last:?}");
    assert_eq!((&last.from, &last.to), (&last.observed, &None));
}

#[test]
fn a_change_that_was_the_last_of_its_process_is_told_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("p.yaml");
    fs::write(&file, pack("0.1.0")).unwrap();
    let arguments = ["--policy-config", "p.yaml", "--listen", "127.0.0.1:0"];
    let mut dying = command(&home, &arguments);
    dying.env("KT_FAILPOINTS", "swap.after=1*off->1*return(abort)");
    let mut program = Program::spawn(dying);
    program.until_log("serving listen=");
    fs::write(&file, pack("0.2.0")).unwrap();
    program.signal(Signal::SIGHUP);
    assert_eq!(program.child.wait().unwrap().code(), None, "it aborted");
    let history = History::at(home.path().join("kt/gateways/default/history.jsonl"));
    let actions = || -> Vec<_> {
        let records = history.read().unwrap().records;
        records.into_iter().map(|it| (it.action, it.observed.and_then(|it| it.version))).collect()
    };
    let version = |version: &str| Some(version.to_owned());
    assert_eq!(actions(), [(Action::Start, version("0.1.0"))]);
    let mut program = Program::start(&home, &arguments);
    program.until_log("serving listen=");
    let expected = [
        (Action::Start, version("0.1.0")),
        (Action::Reload, version("0.2.0")),
        (Action::Start, version("0.2.0")),
    ];
    assert_eq!(actions(), expected);
}

#[test]
fn a_first_file_that_is_bad_is_told_with_its_places() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("p.yaml"), b"pack: {}\nextra: 1\n").unwrap();
    let (code, stderr) = refused(&home, &["--policy-config", "p.yaml", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("p.yaml:2:1: error[E002]: unknown key `extra`"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_state_directory_that_cannot_be_one_is_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("p.yaml"), pack("0.1.0")).unwrap();
    fs::write(home.path().join("kt"), b"a file").unwrap();
    let (code, stderr) = refused(&home, &["--policy-config", "p.yaml", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("kt/gateways/default") && stderr.contains("KT_HOME"), "{stderr}");
}

#[tokio::test]
async fn a_managed_gateway_is_unready_and_answers_503_until_its_first_pack() {
    let home = tempfile::tempdir().unwrap();
    let token = Path::new("t");
    crate::support::write_private(&home.path().join(token), b"kt_operator\n");
    let mut command = command(
        &home,
        &["--fleet", "prod", "--control-plane", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"],
    );
    command.env("KT_TOKEN_FILE", home.path().join(token));
    let mut program = Program::spawn(command);
    program.until_log("serving listen=");
    let told = description(&home);
    assert_eq!((told["source"].as_str(), told["fleet"].as_str()), (Some("control-plane"), Some("prod")));
    let address = told["listen"].as_str().unwrap().to_owned();
    let ready = eventually("503", || {
        let head = head(&address, "/readyz");
        if head.starts_with("HTTP/1.1 503") { Ok(head) } else { Err(head) }
    })
    .await;
    assert!(ready.contains("x-kt-instance: default"), "{ready}");
    program.signal(Signal::SIGHUP);
    program.until_log("packs come from the control plane");
    program.signal(Signal::SIGINT);
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}
