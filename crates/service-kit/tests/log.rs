//! What a program's log really writes, seen from outside: the test runs itself as the program.
#![cfg(test)]

use std::process::Command;

use service_kit::telemetry::{Format, TelemetryError, init};

/// Set for the run that is the program.
const FORMAT: &str = "KT_TEST_LOG_FORMAT";

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
    init("warn,log=info", format.parse().unwrap()).unwrap();
    assert!(matches!(init("info", Format::Text), Err(TelemetryError::AlreadySet)));
    tracing::info!(gateway = "edge-1\u{1b}[2J\nforged", "gateway enrolled");
    tracing::debug!("not to be seen");
    tracing::info!(target: "elsewhere", "not to be seen");
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
