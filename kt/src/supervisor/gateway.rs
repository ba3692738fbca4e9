//! One `kt-gateway` process of a supervisor: started on the supervisor's socket, waited for, ended.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use instance::Place;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use service_kit::clock::Clock;
use time::OffsetDateTime;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::course::Ended;
use super::listener::Listener;
use super::log::LogFiles;

/// A gateway's own deadline for its requests, and time to end.
const DRAIN_LIMIT: Duration = Duration::from_secs(45);

/// More than the hour that a gateway gives a stream.
const LONGEST_WAY: Duration = Duration::from_secs(3700);

/// A process that was started.
#[derive(Debug)]
pub(super) struct Gateway {
    child: Child,
    pub(super) pid: u32,
    started: Instant,
    /// By the clock, to tell what it said from what was said before.
    pub(super) began: OffsetDateTime,
    /// Where it began to write.
    log_from: u64,
}

// === impl Gateway ===

impl Gateway {
    /// Starts it in a process group of its own: what is sent to the supervisor's is not sent to it.
    pub(super) fn start(
        program: &Path,
        place: &Place,
        listener: &Listener,
        take_over: bool,
    ) -> io::Result<Self> {
        let log = LogFiles::of(place);
        let log_from = log.length();
        let stdin: OwnedFd = listener.socket.as_fd().try_clone_to_owned()?;
        let mut command = Command::new(program);
        command.args(["--name", place.name(), "--stored", "--supervised"]);
        if take_over {
            command.arg("--take-over");
        }
        // A gateway without a log is better than none.
        let (out, err) = match log.append().and_then(|out| Ok((out.try_clone()?, out))) {
            Ok((out, err)) => (Stdio::from(out), Stdio::from(err)),
            Err(_) => (Stdio::null(), Stdio::null()),
        };
        command.stdin(stdin).stdout(out).stderr(err).process_group(0);
        let began = Clock::system().now();
        let child = command.spawn()?;
        // Nobody has waited for it yet, so it has a number.
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid, started: Instant::now(), began, log_from })
    }

    /// Waits for its end; may be dropped and called again.
    pub(super) async fn ended(&mut self) -> Ended {
        match self.child.wait().await {
            Ok(status) => status.into(),
            // Nobody else waits for it, so this is not seen.
            Err(_) => Ended::Exit(-1),
        }
    }

    /// How it ended, if it has.
    pub(super) fn has_ended(&mut self) -> Option<Ended> {
        self.child.try_wait().ok().flatten().map(Ended::from)
    }

    pub(super) fn ran(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it said last.
    pub(super) fn last_words(&self, place: &Place) -> Option<String> {
        LogFiles::of(place).reason(self.log_from)
    }

    pub(super) fn signal(&self, signal: Signal) {
        // It is our child and was not waited for, so the number is its own, be it alive or not.
        if let (Some(_), Ok(pid)) = (self.child.id(), i32::try_from(self.pid)) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Has it finish its requests and end; true: it took too long and was killed.
    pub(super) async fn leave(self) -> bool {
        self.end_within(DRAIN_LIMIT).await
    }

    /// As [`Self::leave`], of a process that was replaced: nobody waits for its end, so its streams may take as long as
    /// a stream may, until it is told to hurry.
    pub(super) async fn make_way(mut self, mut hurry: watch::Receiver<bool>) -> bool {
        self.signal(Signal::SIGTERM);
        let ended = tokio::select! {
            ended = timeout(LONGEST_WAY, self.ended()) => ended.is_ok(),
            _ = hurry.wait_for(|hurry| *hurry) => false,
        };
        // It takes a second SIGTERM as the hurry.
        if ended { false } else { self.leave().await }
    }

    pub(super) async fn end_within(mut self, patience: Duration) -> bool {
        self.signal(Signal::SIGTERM);
        if timeout(patience, self.ended()).await.is_ok() {
            return false;
        }
        self.signal(Signal::SIGKILL);
        self.ended().await;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Ends at the second SIGTERM, as a gateway does whose streams go on.
    const PROGRAM: &str = "#!/bin/sh\nn=0\ntrap 'n=$((n + 1)); [ $n -lt 2 ] || exit 0' TERM\necho up\n\
                           while :; do sleep 0.02; done\n";

    #[tokio::test]
    async fn who_made_way_goes_on_until_it_is_told_to_hurry() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(home.path(), "a");
        place.make().unwrap();
        let program = home.path().join("program");
        std::fs::write(&program, PROGRAM).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let gateway = Gateway::start(&program, &place, &listener, true).unwrap();
        let is_up = async {
            while gateway.last_words(&place).as_deref() != Some("up") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), is_up).await.unwrap();
        let (hurry, told) = watch::channel(false);
        let mut leaving = std::pin::pin!(gateway.make_way(told));
        assert!(timeout(Duration::from_millis(200), &mut leaving).await.is_err(), "its streams go on");
        hurry.send_replace(true);
        let killed = timeout(Duration::from_secs(20), leaving).await.expect("the second one ends it");
        assert!(!killed, "in order");
    }
}
