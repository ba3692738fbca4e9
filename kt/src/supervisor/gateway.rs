//! One `kt-gateway` process of a supervisor: started on the supervisor's socket, waited for, ended.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use instance::Place;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::course::Ended;
use super::listener::Listener;
use super::log::LogFiles;

/// A gateway's own deadline for its requests, and time to end.
const DRAIN_LIMIT: Duration = Duration::from_secs(45);

/// A process that was started.
#[derive(Debug)]
pub(super) struct Gateway {
    child: Child,
    pub(super) pid: u32,
    started: Instant,
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
        log.rotate();
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
        let child = command.spawn()?;
        // Nobody has waited for it yet, so it has a number.
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid, started: Instant::now(), log_from })
    }

    /// Waits for its end; may be dropped and called again.
    pub(super) async fn ended(&mut self) -> Ended {
        match self.child.wait().await {
            Ok(status) => status.into(),
            // Nobody else waits for it, so this is not seen.
            Err(_) => Ended::Exit(-1),
        }
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
