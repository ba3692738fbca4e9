//! Signals reach the program as futures, and no longer end it.
#![cfg(test)]

use std::pin::pin;
use std::process::Command;
use std::time::Duration;

use futures_util::FutureExt;
use service_kit::drain::{Signal, hangups, run_until_signal};

const PATIENCE: Duration = Duration::from_secs(20);

fn send_to_myself(signal: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {}", std::process::id())]).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn each_ending_signal_is_told_apart() {
    for (name, expected) in [("TERM", Signal::Terminate), ("INT", Signal::Interrupt)] {
        let mut waiting = pin!(run_until_signal());
        // The first poll is what begins to listen.
        assert_eq!((&mut waiting).now_or_never(), None);
        send_to_myself(name);
        assert_eq!(tokio::time::timeout(PATIENCE, waiting).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn hangups_arrive_one_by_one_and_do_not_end_the_program() {
    let mut hangups = hangups();
    for _ in 0..2 {
        send_to_myself("HUP");
        tokio::time::timeout(PATIENCE, hangups.recv()).await.unwrap();
    }
    assert_eq!(hangups.recv().now_or_never(), None);
}
