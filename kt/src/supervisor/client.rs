//! The side of the commands: finds a gateway's supervisor, or starts one, and asks it.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use instance::lock::Lock;
use instance::{Place, door};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::protocol::{Answer, Ask, Up};
use super::supervision::Supervision;
use crate::failure::{Exit, Failure};
use crate::instances::{self, cannot_use};
use crate::settings::state_dir;

/// A supervisor listens before it does anything else.
const UP_LIMIT: Duration = Duration::from_secs(10);
/// It answers in time by itself; this is for one that does not.
const GRACE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a supervisor may take to begin, or a process that was killed to be gone.
const LETS_GO: Duration = Duration::from_secs(2);
/// It is told from memory.
const STANDING_LIMIT: Duration = Duration::from_secs(2);

/// What a supervisor said.
#[derive(Debug)]
pub(crate) enum Heard {
    Answer(Answer),
    /// There is none, or it ended before it answered.
    Nobody,
}

/// Asks the supervisor of this place, if there is one.
///
/// # Errors
/// It does not answer within `limit`, or is not ours to talk to.
pub(crate) async fn ask(place: &Place, ask: &Ask, limit: Duration) -> Result<Heard, Failure> {
    let told = timeout(limit + GRACE, exchange(place, ask)).await;
    let answered = told.map_err(|_| {
        Failure::new(
            Exit::Unreachable,
            "timed_out",
            format!(
                "the supervisor of gateway `{}` did not answer within {} s",
                place.name(),
                limit.as_secs()
            ),
        )
        .with_hint(format!("see how it stands with `kt gateway status --name {}`", place.name()))
    })?;
    answered.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => Ok(Heard::Nobody),
        io::ErrorKind::PermissionDenied => Err(Failure::new(
            Exit::Forbidden,
            "not_yours",
            format!("gateway `{}` is another user's", place.name()),
        )
        .with_hint("run kt as the user who started it, or as root")),
        _ => Err(cannot_use(&place.supervisor_socket(), &error)),
    })
}

/// As [`ask`]; one that ended without a word may not have let go of everything yet, and who looks then takes it for alive.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn ask_who_stays(place: &Place, asked: &Ask, limit: Duration) -> Result<Heard, Failure> {
    let deadline = Instant::now() + LETS_GO;
    loop {
        match ask(place, asked, limit).await? {
            Heard::Nobody if Lock::is_held(&place.supervisor_lock()) && Instant::now() < deadline => {
                sleep(LOOK_AGAIN).await;
            }
            heard => return Ok(heard),
        }
    }
}

/// How the supervisor of this place stands. `None`: there is none, or it does not say, as one of an earlier release.
pub(crate) async fn supervision(place: &Place) -> Option<Supervision> {
    match timeout(STANDING_LIMIT, exchange(place, &Ask::Status)).await {
        Ok(Ok(Heard::Answer(Answer::Supervises(supervision)))) => Some(supervision),
        Ok(_) | Err(_) => None,
    }
}

/// Has a supervisor, which is started if there is none, start the gateway.
///
/// # Errors
/// The supervisor cannot be started or does not answer. That the gateway did not start is an [`Answer`].
pub(crate) async fn start(place: &Place, program: &Path, limit: Duration) -> Result<Answer, Failure> {
    let deadline = Instant::now() + limit + GRACE;
    let asked = Ask::Start { limit_ms: super::protocol::limit_ms(limit) };
    loop {
        if let Heard::Answer(answer) = ask(place, &asked, limit).await? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            let message = format!("the supervisor of gateway `{}` begins and ends", place.name());
            return Err(Failure::new(Exit::Unreachable, "timed_out", message));
        }
        if Lock::is_held(&place.supervisor_lock()) {
            // It is beginning, or ending.
            sleep(LOOK_AGAIN).await;
            continue;
        }
        match begin(place, program).await? {
            Up::Listens | Up::Taken => {}
            Up::Failed { answer } => return Ok(answer),
        }
    }
}

async fn exchange(place: &Place, ask: &Ask) -> io::Result<Heard> {
    let stream = door::connect(&place.supervisor_socket())?;
    stream.set_nonblocking(true)?;
    let (read, mut write) = UnixStream::from_std(stream)?.into_split();
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(read).read_line(&mut answer).await?;
    if answer.is_empty() {
        return Ok(Heard::Nobody);
    }
    serde_json::from_str(&answer).map(Heard::Answer).map_err(io::Error::from)
}

/// Starts a supervisor and waits until it listens. It keeps this process's environment for every gateway it starts.
async fn begin(place: &Place, program: &Path) -> Result<Up, Failure> {
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, "start_failed", format!("the supervisor cannot be started: {error}"))
    };
    instances::mine(place.dir())?;
    let kt = std::env::current_exe().map_err(|error| cannot(&error))?;
    let mut command = Command::new(kt);
    command.args(["gateway", "supervise", "--name", place.name(), "--program"]).arg(program);
    // It goes to the root directory, so that it holds none; what is relative must not go with it.
    command.current_dir("/").env("KT_HOME", state_dir());
    if let Some(token) = std::env::var_os("KT_TOKEN_FILE").filter(|token| !token.is_empty())
        && let Ok(token) = std::path::absolute(&token)
    {
        command.env("KT_TOKEN_FILE", token);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| cannot(&error))?;
    let stdout = child.stdout.take().ok_or_else(|| cannot(&"it has no stdout"))?;
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    let read = timeout_at(Instant::now() + UP_LIMIT, stdout.read_line(&mut line)).await;
    match read {
        Ok(Ok(1..)) => serde_json::from_str(&line).map_err(|error| cannot(&error)),
        Ok(Ok(0)) => Err(cannot(&"it ended without a word")),
        Ok(Err(error)) => Err(cannot(&error)),
        Err(_) => Err(cannot(&format!("it did not listen within {} s", UP_LIMIT.as_secs()))),
    }
}
