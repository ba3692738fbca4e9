//! kt's own supervisor: one detached `kt gateway supervise` a gateway, which holds the listening socket, keeps a
//! `kt-gateway` on it, and is told to start, stop or restart it over `supervisor.sock`.
//!
//! What happens after a gateway ended is decided by [`course`], what a gateway's own word of itself means by
//! [`readiness`]; both are pure. [`owner`] does it, [`client`] is the side of the commands.

pub(crate) mod client;
mod course;
mod descriptors;
mod door;
mod gateway;
mod listener;
mod log;
mod owner;
pub(crate) mod protocol;
mod readiness;
pub(crate) mod supervision;

use std::io::Write;
use std::path::{Path, PathBuf};

use instance::lock::Lock;
use instance::{Place, door as sockets};
use service_kit::drain;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::instances::cannot_use;
use protocol::{Answer, Up};
use supervision::Supervision;

pub(crate) use descriptors::close_inherited;
pub(crate) use listener::is_heard;
pub(crate) use log::LogFiles;
pub(crate) use readiness::told;

/// For answers that are on their way when the supervisor ends.
const LAST_ANSWERS: std::time::Duration = std::time::Duration::from_secs(2);

/// Becomes the supervisor. Who started it reads one line on stdout, an [`Up`], and then talks to the socket.
pub(crate) async fn run(place: Place, program: PathBuf) -> Result<(), Failure> {
    // The terminal of `kt gateway start` is not ours. A process that leads its group has a session of its own already.
    let _ = nix::unistd::setsid();
    let lock = match Lock::take(&place.supervisor_lock()) {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            say(&Up::Taken);
            return Ok(());
        }
        Err(error) => return not_up(cannot_use(&place.supervisor_lock(), &error)),
    };
    let socket = place.supervisor_socket();
    let listener = match sockets::bind(&socket) {
        Ok(listener) => listener,
        Err(error) => return not_up(cannot_use(&socket, &error)),
    };
    let (trigger, watcher) = drain::channel();
    let (standing, told) = watch::channel(Supervision::new());
    let orders = match door::open(listener, told, &watcher) {
        Ok(orders) => orders,
        Err(error) => return not_up(cannot_use(&socket, &error)),
    };
    say(&Up::Listens);
    let_go_of_stdout();
    watcher.spawn("gateway log", log::keep_short(LogFiles::of(&place), watcher.clone()));
    let lock = owner::Owner::new(place.clone(), lock, program, orders, standing).run().await;
    trigger.start();
    // Whoever has not read its answer by then reads the end of the connection.
    let _ = trigger.drained(LAST_ANSWERS).await;
    // In a directory that was made anew it is another's.
    if lock.is_at(&place.supervisor_lock()) {
        sockets::remove(&socket);
    }
    drop(lock);
    Ok(())
}

/// Where the numbers of the processes are kept that a supervisor runs, during a restart two: with them, whoever finds a
/// gateway without a supervisor tells one that lost it from one in a foreground. They are compared with what the kernel
/// says, and never signalled.
fn supervised_pid(place: &Place) -> PathBuf {
    place.dir().join("supervised.pid")
}

/// Whether this process was started by a supervisor, be that alive or not.
pub(crate) fn is_ours(place: &Place, pid: u32) -> bool {
    let noted = instance::durable::read(&supervised_pid(place), 64).unwrap_or_default();
    String::from_utf8_lossy(&noted).split_whitespace().any(|noted| noted.parse() == Ok(pid))
}

/// Whether a supervisor did not live to see the end of what it started.
pub(crate) fn left_one(place: &Place) -> bool {
    supervised_pid(place).exists()
}

/// Whether an address can be had now.
///
/// # Errors
/// It is none, or it is taken.
pub(crate) fn may_listen(address: &str) -> Result<(), Failure> {
    listener::Listener::bind(address).map(drop)
}

fn not_up(failure: Failure) -> Result<(), Failure> {
    say(&Up::Failed { answer: Answer::of(&failure) });
    Err(failure)
}

fn say(up: &Up) {
    let mut out = std::io::stdout().lock();
    // Whoever waited for it may be gone, and then hears of it from the socket.
    if let Ok(line) = serde_json::to_string(up) {
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Whoever reads it must see its end now, not the supervisor's.
fn let_go_of_stdout() {
    if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open(Path::new("/dev/null")) {
        let _ = nix::unistd::dup2_stdout(nowhere);
    }
}
