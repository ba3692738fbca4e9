//! The thread that owns the server process: starts it, notices its death, starts it again, stops it.
//!
//! It is a thread of its own and not a task, because the kernel sends the parent-death signal when the
//! spawning *thread* ends, and the runtime's blocking threads end when they are idle.

mod server;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::cluster::ServerState;
use crate::lock::DirLock;
use crate::prepare::{self, Prepared};
use crate::{Error, Options};
use server::Server;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that ran this long died of something new, so the pause starts small again.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// An earlier server gets this long to finish the shutdown that the death of its program began.
const LINGER_LIMIT: Duration = Duration::from_secs(30);
/// The remains of a server that was killed by force get this long to go by themselves.
const REMAINS_LIMIT: Duration = Duration::from_secs(2);
const REMAINS_POLL: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(10);

/// All that can happen to the keeper.
#[derive(Debug)]
pub(crate) enum Event {
    /// The server process with this pid has ended and awaits its reaping.
    Exited(u32),
    Stop,
}

/// What the starter learns once the server is ready.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) socket_dir: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) events: Receiver<Event>,
    pub(crate) own: Sender<Event>,
    pub(crate) state: watch::Sender<ServerState>,
}

// === impl Keeper ===

impl Keeper {
    /// The whole life of the cluster. Everything it holds (lock, process) is let go when it returns.
    pub(crate) fn run(self, options: &Options, started: oneshot::Sender<Result<Started, Error>>) {
        let begun = (|| {
            let dir = prepare::make_dir(&options.dir)?;
            let lock = DirLock::take(&dir)?;
            let prepared = Prepared::new(options, dir)?;
            self.wait_for_earlier(&prepared)?;
            let server = self.start_first(&prepared)?;
            Ok((lock, prepared, server))
        })();
        match begun {
            Err(error) => {
                // The starter may have given up waiting.
                let _ = started.send(Err(error));
            }
            Ok((lock, prepared, server)) => {
                self.state.send_replace(ServerState::Running { pid: server.pid() });
                let told = started.send(Ok(Started { socket_dir: prepared.socket_dir() }));
                if told.is_ok() {
                    self.keep(&prepared, server);
                } else {
                    server.stop(&self);
                }
                drop(lock);
            }
        }
        self.state.send_replace(ServerState::Stopped);
    }

    fn keep(&self, prepared: &Prepared, mut server: Server) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            // `own` is alive in `self`, so the channel cannot close.
            match self.events.recv() {
                Ok(Event::Exited(pid)) if pid == server.pid() => {}
                Ok(Event::Exited(_)) => continue,
                Ok(Event::Stop) | Err(_) => return server.stop(self),
            }
            let mut reason = server.reap();
            tracing::error!(%reason, log = %prepared.log_path().display(), "PostgreSQL died; starting it again");
            if began.elapsed() >= STABLE_AFTER {
                pause = FIRST_PAUSE;
            }
            let mut attempt = 0_u32;
            server = loop {
                attempt += 1;
                self.state.send_replace(ServerState::Restarting { attempt, reason });
                if self.stop_within(pause) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                match Server::start(prepared, self) {
                    Ok(server) => break server,
                    Err(error) => {
                        tracing::error!(%error, attempt, "PostgreSQL did not start");
                        reason = error.to_string();
                    }
                }
            };
            tracing::info!(pid = server.pid(), attempt, "PostgreSQL runs again");
            self.state.send_replace(ServerState::Running { pid: server.pid() });
        }
    }

    /// After its program was killed, an earlier server is still writing its checkpoint.
    fn wait_for_earlier(&self, prepared: &Prepared) -> Result<(), Error> {
        let began = Instant::now();
        while let Some(pid) = prepared.running_server() {
            if began.elapsed() > LINGER_LIMIT || self.stop_within(POLL) {
                let dir = prepared.data_dir();
                return Err(Error::Lingering { dir, pid, waited: began.elapsed() });
            }
        }
        Ok(())
    }

    /// Of a server that was killed by force, what is left is in the way for a moment: backends that have not noticed
    /// yet, a dead process that nobody has reaped.
    fn start_first(&self, prepared: &Prepared) -> Result<Server, Error> {
        let killed = prepared.lock_file_is_left();
        let began = Instant::now();
        loop {
            match Server::start(prepared, self) {
                Err(error @ Error::Failed { .. }) if killed => {
                    let waited = began.elapsed();
                    if self.stop_within(REMAINS_POLL) || waited > 2 * REMAINS_LIMIT {
                        return Err(error);
                    }
                    if waited > REMAINS_LIMIT {
                        prepared.remove_locks_of_dead()?;
                    }
                }
                started => return started,
            }
        }
    }

    /// Waits; true when it was told to stop meanwhile. Exits of servers long reaped mean nothing.
    fn stop_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(Event::Exited(_)) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}
