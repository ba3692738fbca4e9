//! A look at a gateway: what it says of itself, how its supervisor stands, and what that makes together.

use std::time::Duration;

use instance::documents::Status;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::{Found, NOT_RUNNING, door, stopped};
use crate::failure::Failure;
use crate::supervisor::client::supervision;
use crate::supervisor::supervision::{State, Supervision};

/// The code of a gateway that went before it had answered.
const CONNECTION_LOST: &str = "connection_lost";
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where a gateway is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Somebody starts it again should it end, or not.
    Running {
        supervised: bool,
    },
    Starting,
    /// It ended unasked, and its supervisor starts it again.
    Restarting,
    /// It finishes its requests.
    Stopping,
    Stopped,
}

#[derive(Debug, Clone)]
pub(crate) struct Looked {
    pub(crate) status: Status,
    /// `None`: nobody supervises it.
    pub(crate) supervision: Option<Supervision>,
    pub(crate) phase: Phase,
}

// === impl Looked ===

impl Looked {
    /// # Errors
    /// It runs and cannot be asked, or nothing is known of it.
    pub(crate) async fn at(found: &Found) -> Result<Self, Failure> {
        let supervision = match found.is_supervised() {
            true => supervision(&found.place).await,
            false => None,
        };
        let supervised = found.is_supervised();
        let state = supervision.as_ref().map(|supervision| supervision.state);
        let mut looked = match answered(found).await {
            Err(failure) if failure.code() != NOT_RUNNING => return Err(failure),
            Err(_) if found.is_served() => {
                let told = stopped::told(found);
                let process = told.and_then(|told| told.pid).filter(|pid| lives(*pid));
                let mut status = stopped::status(found)?;
                status.running = true;
                let phase = without_door(state, supervised, process.is_some());
                // Displayed alone: what is signalled is what the kernel names.
                status.pid = supervision.as_ref().and_then(|supervision| supervision.pid).or(process);
                if matches!(phase, Phase::Running { .. }) {
                    status.remarks.push("it has no door: it could not make its socket".to_owned());
                }
                Self { status, supervision, phase }
            }
            Err(_) => Self { status: stopped::status(found)?, phase: down(state), supervision },
            Ok(status) => {
                let phase = match state {
                    Some(State::Stopping) => Phase::Stopping,
                    _ => Phase::Running { supervised },
                };
                Self { status, supervision, phase }
            }
        };
        if let Err(why) = &found.description {
            looked.status.remarks.push(why.clone());
        }
        looked.status.remarks.extend(found.spoiled_before());
        Ok(looked)
    }
}

/// One that is killed or replaced in the middle of its answer is looked at once more, for it is another one now.
async fn answered(found: &Found) -> Result<Status, Failure> {
    match door::status(&found.place).await {
        Err(lost) if lost.code() == CONNECTION_LOST => {
            tokio::time::sleep(LOOK_AGAIN).await;
            door::status(&found.place).await
        }
        told => told,
    }
}

/// Whether a process that holds the directory without a door is one that is ending.
pub(crate) fn is_ending(found: &Found) -> bool {
    found.is_served() && stopped::told(found).and_then(|told| told.pid).is_some_and(lives)
}

/// It holds the directory and has no door. Whoever told the status last had one: is that process there, it is ending.
const fn without_door(state: Option<State>, supervised: bool, told_by_living: bool) -> Phase {
    match state {
        Some(State::Running) => Phase::Running { supervised },
        Some(State::Starting) => Phase::Starting,
        Some(State::Restarting) => Phase::Restarting,
        Some(State::Stopping) => Phase::Stopping,
        None if told_by_living => Phase::Stopping,
        None => Phase::Starting,
    }
}

/// Nobody holds the directory.
const fn down(state: Option<State>) -> Phase {
    match state {
        None | Some(State::Stopping) => Phase::Stopped,
        Some(State::Starting) => Phase::Starting,
        // Its end has not been noticed yet.
        Some(State::Restarting | State::Running) => Phase::Restarting,
    }
}

fn lives(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    pid.is_some_and(|pid| matches!(kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_on_its_way() {
        let running = Phase::Running { supervised: true };
        for (state, ending, without, none) in [
            (None, true, Phase::Stopping, Phase::Stopped),
            (None, false, Phase::Starting, Phase::Stopped),
            (Some(State::Running), false, running, Phase::Restarting),
            (Some(State::Starting), true, Phase::Starting, Phase::Starting),
            (Some(State::Restarting), true, Phase::Restarting, Phase::Restarting),
            (Some(State::Stopping), true, Phase::Stopping, Phase::Stopped),
        ] {
            assert_eq!(without_door(state, true, ending), without, "{state:?}");
            assert_eq!(down(state), none, "{state:?}");
        }
        assert!(lives(std::process::id()) && !lives(0) && !lives(u32::MAX));
    }
}
