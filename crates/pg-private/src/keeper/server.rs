//! One run of the server process, from its spawn to its reaping.

use std::process::{Child, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::{Event, Keeper, POLL};
use crate::Error;
use crate::log::LogPump;
use crate::prepare::{Prepared, spawn_error};

/// Crash recovery replays what was written since the last checkpoint, which may take a while.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// A fast shutdown ends sessions and writes a checkpoint.
const FAST_LIMIT: Duration = Duration::from_secs(30);
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(5);
const TOLD_LINES: usize = 8;

#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    log: LogPump,
}

// === impl Server ===

impl Server {
    /// Returns when the server accepts connections.
    pub(super) fn start(prepared: &Prepared, keeper: &Keeper) -> Result<Self, Error> {
        let mut command = prepared.server_command(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(spawn_error)?;
        let pid = child.id();
        let watched = child
            .stderr
            .take()
            .ok_or(Error::KeeperGone)
            .and_then(|output| LogPump::start(&prepared.log_path(), output))
            .and_then(|log| watch_exit(pid, keeper.own.clone()).map(|()| log));
        let log = match watched {
            Ok(log) => log,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let server = Self { child, log };
        server.wait_ready(prepared, keeper)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Only after [`Event::Exited`]; tells how it ended.
    pub(super) fn reap(mut self) -> String {
        self.reap_with_status()
    }

    /// Fast shutdown; after a while immediate; at last by force.
    pub(super) fn stop(mut self, keeper: &Keeper) {
        let steps = [
            (Signal::SIGINT, FAST_LIMIT),
            (Signal::SIGQUIT, IMMEDIATE_LIMIT),
            (Signal::SIGKILL, IMMEDIATE_LIMIT),
        ];
        for (signal, limit) in steps {
            self.signal(signal);
            let until = Instant::now() + limit;
            while let Ok(event) = keeper.events.recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                if matches!(event, Event::Exited(pid) if pid == self.pid()) {
                    self.reap_with_status();
                    return;
                }
            }
            tracing::warn!(pid = self.pid(), %signal, ?limit, "PostgreSQL did not stop in time");
        }
    }

    fn wait_ready(mut self, prepared: &Prepared, keeper: &Keeper) -> Result<Self, Error> {
        let began = Instant::now();
        while !prepared.is_ready(self.pid()) {
            if began.elapsed() > READY_LIMIT {
                self.stop(keeper);
                return Err(Error::NotReady { waited: READY_LIMIT, log: prepared.log_path() });
            }
            match keeper.events.recv_timeout(POLL) {
                Ok(Event::Exited(pid)) if pid == self.pid() => {
                    let status = self.reap_with_status();
                    let output = self.log.last_lines(TOLD_LINES);
                    return Err(Error::Failed { program: "postgres", status, output });
                }
                Ok(Event::Stop) => {
                    self.stop(keeper);
                    // For the keeper's own loop, which ends on it.
                    let _ = keeper.own.send(Event::Stop);
                    return Err(Error::KeeperGone);
                }
                Ok(Event::Exited(_)) | Err(_) => {}
            }
        }
        Ok(self)
    }

    fn reap_with_status(&mut self) -> String {
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// The process is not reaped before `self` is gone, so the pid is still its own.
    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.pid()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// Waits in a thread without reaping, so that the pid stays valid until the keeper reaps it.
fn watch_exit(pid: u32, events: Sender<Event>) -> Result<(), Error> {
    let raw = i32::try_from(pid).map_err(|_| Error::KeeperGone)?;
    let thread = std::thread::Builder::new().name("postgres-exit".into()).spawn(move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(Pid::from_raw(raw)), flags) == Err(nix::errno::Errno::EINTR) {}
        // The keeper may have ended first, after a forced stop.
        let _ = events.send(Event::Exited(pid));
    });
    thread.map(drop).map_err(Error::disk("start a thread to watch", "postgres"))
}
