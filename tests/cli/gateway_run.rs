//! `kt gateway run` becomes `kt-gateway`: its words, its output, its exit code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::kt::{Kt, fresh_binary};

#[test]
fn it_serves_under_the_same_process_and_ends_on_sigterm() {
    fresh_binary("kt-gateway");
    let kt = Kt::new().with("OPENAI_API_KEY", "nothing-calls-it");
    let pack = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policy-config.yaml"));
    kt.file("pack.yaml", pack.expect("an example"));
    let words =
        ["gateway", "run", "--name", "local", "--policy-config", "pack.yaml", "--listen", "127.0.0.1:0"];
    let mut child = kt.spawn(&words, Stdio::null());
    // Its log is on the stderr that kt was given.
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let address = log.find_map(|line| listens_on(&line.expect("text"))).expect("it says where it serves");
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"), "the pack is active");
    let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or("kt-gateway".into());
    assert_eq!(name.trim(), "kt-gateway", "kt became the gateway");
    let listening = (0..1000).any(|_| get(&address, "/healthz").is_empty() || catches_sigterm(child.id()));
    assert!(listening, "it listens to SIGTERM soon after it serves");
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGTERM).expect("it runs");
    let status = child.wait().expect("it ends");
    assert!(status.success(), "it ended with {status}");
}

#[test]
fn a_broken_pack_ends_it_as_the_gateway_would() {
    fresh_binary("kt-gateway");
    let kt = Kt::new();
    kt.file("bad.yaml", "pack: 1\n");
    let said = kt.run(&["gateway", "run", "--policy-config", "bad.yaml", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 2, "{said}");
}

/// `… listen=127.0.0.1:41002 …`
pub(crate) fn listens_on(line: &str) -> Option<String> {
    let address = line.split_once("listen=")?.1;
    address.split_whitespace().next().map(str::to_owned)
}

pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// As the kernel tells it; where it does not, a request was pause enough.
fn catches_sigterm(pid: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return true };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
    caught.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & (1 << 14) != 0)
}
