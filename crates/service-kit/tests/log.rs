//! What a program's log really writes, seen from outside: the test runs itself as the program.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use service_kit::telemetry::{Format, TelemetryError, init};

/// Set for the run that is the program.
const FORMAT: &str = "KT_TEST_LOG_FORMAT";
/// Set as well where it is to say more than a pipe holds.
const MANY: &str = "KT_TEST_LOG_MANY";

fn stderr_of(format: Format) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_program", "--nocapture"])
        .env(FORMAT, format.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(!stdout.contains("enrolled"), "the log is not data: {stdout}");
    String::from_utf8(output.stderr).unwrap()
}

/// Nothing, unless it is run by the tests below.
#[test]
fn the_program() {
    let Ok(format) = std::env::var(FORMAT) else { return };
    let _log = init("warn,log=info", format.parse().unwrap()).unwrap();
    assert!(matches!(init("info", Format::Text), Err(TelemetryError::AlreadySet)));
    tracing::info!(gateway = "edge-1\u{1b}[2J\nforged", "gateway enrolled");
    tracing::debug!("not to be seen");
    tracing::info!(target: "elsewhere", "not to be seen");
    if std::env::var_os(MANY).is_some() {
        for number in 0..200_000 {
            tracing::info!(number, "one of many");
        }
        writeln!(std::io::stdout(), "\nthe program goes on").unwrap();
        // Until the test has read what there is.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        tracing::info!("the last line");
    }
}

#[test]
fn text_is_one_line_an_event_filtered_and_escaped() {
    let log = stderr_of(Format::Text);
    let line = log.lines().find(|line| line.contains("gateway enrolled")).unwrap();
    assert!(line.contains("INFO") && line.contains("edge-1") && line.contains("forged"), "{line}");
    assert!(!log.contains('\u{1b}') && !log.contains("not to be seen"), "{log}");
}

#[test]
fn json_is_one_object_an_event_that_keeps_the_value() {
    let log = stderr_of(Format::Json);
    let line = log.lines().find(|line| line.contains("gateway enrolled")).unwrap();
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["level"], "INFO");
    assert_eq!(event["fields"]["gateway"], "edge-1\u{1b}[2J\nforged");
}

#[test]
fn a_reader_that_stalls_stops_nobody_and_what_is_lost_is_counted() {
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_program", "--nocapture"])
        .env(FORMAT, "text")
        .env(MANY, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (said, heard) = mpsc::channel();
    let stdout = program.stdout.take().unwrap();
    let listening = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = said.send(line);
        }
    });
    let goes_on = || loop {
        match heard.recv_timeout(Duration::from_secs(30)) {
            Ok(line) if line == "the program goes on" => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    };
    if !goes_on() {
        program.kill().unwrap();
        panic!("it waits for whoever reads its log");
    }
    let mut log = String::new();
    let mut stderr = BufReader::new(program.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("lines of this log were lost") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "{log}");
        log.push_str(&line);
    }
    drop(program.stdin.take());
    stderr.read_to_string(&mut log).unwrap();
    assert!(program.wait().unwrap().success());
    listening.join().unwrap();
    assert!(log.lines().last().unwrap().contains("the last line"), "what was said is said at the end");
    let lost = log.lines().find(|line| line.contains("were lost")).unwrap();
    let lost: usize = lost.rsplit_once("lost=").unwrap().1.trim().parse().unwrap();
    assert!(log.matches("one of many").count() + lost >= 200_000, "{lost}");
}
