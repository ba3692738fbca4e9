//! `kt gateway stop`: has it finish its requests and end, whoever started it.

use std::time::Duration;

use instance::{Action, Outcome};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::cli::gateway::GatewayTimedArgs;
use crate::failure::{Exit, Failure};
use crate::instances::look::is_ending;
use crate::instances::{self, Found, door, record, stopped};
use crate::printer::Printer;
use crate::supervisor::client::{self, Heard};
use crate::supervisor::protocol::{Answer, Ask, failure};
use crate::supervisor::{is_heard, is_ours};

/// Beyond what a gateway gives its requests.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// For a gateway that handed over to one that ended, until it is the gateway again.
const TAKES_BACK: Duration = Duration::from_secs(5);

/// What there was to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    NotRunning,
    InOrder,
    ByForce,
}

pub(crate) async fn run(args: &GatewayTimedArgs, printer: &Printer) -> Result<Exit, Failure> {
    let limit = super::start::limit(args, LIMIT)?;
    let found = instances::find(&args.gateway.name)?;
    let stopped = stop(&found, limit, printer).await?;
    if printer.is_json() {
        printer.json(&stopped::status(&found)?)?;
        return Ok(Exit::Done);
    }
    let name = found.name();
    printer.text(&match stopped {
        Stopped::NotRunning => format!("gateway {name} is not running"),
        Stopped::InOrder => format!("gateway {name} is stopped"),
        Stopped::ByForce => format!("gateway {name} did not end in order and was killed"),
    })?;
    Ok(Exit::Done)
}

/// Stops it and its supervisor.
///
/// # Errors
/// It runs on: it cannot be told, or `limit` has passed.
pub(super) async fn stop(found: &Found, limit: Duration, printer: &Printer) -> Result<Stopped, Failure> {
    let deadline = Instant::now() + limit;
    // What somebody else is stopping already ends meanwhile, without a word to us.
    let was_there = found.is_served();
    loop {
        match tokio::time::timeout_at(deadline, client::ask(&found.place, &Ask::Stop, limit)).await {
            Err(_) => return Err(still_there(found, limit)),
            Ok(Err(failure)) => return Err(failure),
            Ok(Ok(Heard::Answer(Answer::Stopped { killed, warning }))) => {
                if let Some(warning) = warning {
                    printer.warn(&warning);
                }
                return Ok(if killed { Stopped::ByForce } else { Stopped::InOrder });
            }
            Ok(Ok(Heard::Answer(Answer::Refused { exit, code, message, hint, findings }))) => {
                return Err(failure(exit, &code, message, hint, &findings));
            }
            Ok(Ok(Heard::Answer(Answer::Serves { .. } | Answer::Supervises(_)))) => {
                return Err(Failure::unexpected("the supervisor does not stop it"));
            }
            Ok(Ok(Heard::Nobody)) => {}
        }
        if !found.is_supervised() {
            return match unsupervised(found, deadline, limit, printer).await? {
                Stopped::NotRunning if was_there => Ok(Stopped::InOrder),
                stopped => Ok(stopped),
            };
        }
        // It is beginning, or ending.
        if Instant::now() > deadline {
            return Err(still_there(found, limit));
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn unsupervised(
    found: &Found,
    deadline: Instant,
    limit: Duration,
    printer: &Printer,
) -> Result<Stopped, Failure> {
    let place = &found.place;
    if !found.is_served() {
        return Ok(Stopped::NotRunning);
    }
    let began = Instant::now();
    let before = door::status(place).await.ok();
    let mut told: Vec<i32> = Vec::new();
    let mut is_of_supervisor = false;
    let mut seen = began;
    loop {
        if found.is_served() {
            seen = Instant::now();
            let pid = serving(found, told.is_empty())?;
            if let Some(pid) = pid.filter(|pid| !told.contains(pid)) {
                is_of_supervisor |= u32::try_from(pid).is_ok_and(|pid| is_ours(place, pid));
                tell_to_end(pid)?;
                told.push(pid);
            }
        } else if !is_of_supervisor || seen.elapsed() > TAKES_BACK || !is_heard(listen(found)).await {
            break;
        }
        // Else there are two, of a restart whose supervisor was killed: the other one takes back what it handed over.
        if Instant::now() > deadline {
            return Err(still_there(found, limit));
        }
        sleep(LOOK_AGAIN).await;
    }
    // One that was started by a supervisor leaves it to others to tell of its end.
    if is_of_supervisor {
        let mut record = record::record(Action::Stop, Outcome::Succeeded, record::me(), began.elapsed());
        record.from = before.and_then(|status| status.observed);
        record.reason = Some("its supervisor was gone".to_owned());
        if let Err(warning) = record::keep(place, &record) {
            printer.warn(&warning);
        }
    }
    Ok(Stopped::InOrder)
}

/// The process that the kernel says is at the other end, not one whose number somebody wrote down. `None`: none is
/// there now.
///
/// # Errors
/// Its number is not told, or the `first` look finds none.
fn serving(found: &Found, first: bool) -> Result<Option<i32>, Failure> {
    match door::server_pid(&found.place) {
        Ok((_, pid)) => {
            let pid = pid.filter(|pid| *pid > 0).ok_or_else(|| {
                Failure::new(Exit::Failed, "unsupported", "this system does not tell which process serves")
            })?;
            Ok(Some(pid))
        }
        // It let go of its door first: it is ending, as somebody else told it to.
        Err(_) if first && is_ending(found) => Ok(None),
        Err(error) if first => {
            let name = found.name();
            let message =
                format!("gateway `{name}` runs without a supervisor and cannot be told to stop: {error}");
            Err(Failure::new(Exit::Unreachable, "unreachable", message)
                .with_hint("end its process as it was started"))
        }
        // It is ending, or another one is about to take its place.
        Err(_) => Ok(None),
    }
}

fn tell_to_end(pid: i32) -> Result<(), Failure> {
    match kill(Pid::from_raw(pid), Signal::SIGTERM) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => {
            let message = format!("process {pid} cannot be told to stop: {errno}");
            Err(Failure::new(Exit::Forbidden, "not_yours", message))
        }
    }
}

/// Where its clients call it.
fn listen(found: &Found) -> &str {
    found.description.as_ref().map(|description| description.listen.as_str()).unwrap_or_default()
}

fn still_there(found: &Found, limit: Duration) -> Failure {
    let message = format!("gateway `{}` still finishes requests after {} s", found.name(), limit.as_secs());
    Failure::new(Exit::Unreachable, "timed_out", message)
        .with_hint("it was told to stop and will; wait longer with --timeout")
}
