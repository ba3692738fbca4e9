//! One program that `kt dev` runs: its log file, its end, and why it ended.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::failure::{Exit, Failure};

/// How much of a log's end explains a failure.
const LAST_WORDS: usize = 600;

/// A running child. Killed when dropped, and by the kernel when kt is killed.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    log: PathBuf,
    child: Child,
}

/// How to start one.
pub(super) struct Script<'a> {
    pub(super) name: &'a str,
    pub(super) program: &'a Path,
    pub(super) log: PathBuf,
}

// === impl Program ===

impl Program {
    /// Starts it in a process group of its own: ^C reaches kt alone, which then ends things in order.
    pub(super) fn start(script: Script<'_>, dress: impl FnOnce(&mut Command)) -> Result<Self, Failure> {
        let Script { name, program, log } = script;
        let cannot = |error: &std::io::Error| {
            Failure::new(Exit::Failed, "start_failed", format!("cannot start {name}: {error}"))
        };
        let out = File::create(&log).map_err(|error| cannot(&error))?;
        let err = out.try_clone().map_err(|error| cannot(&error))?;
        let mut command = bound_to_our_life(program);
        dress(&mut command);
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(|error| cannot(&error))?;
        Ok(Self { name: name.to_owned(), log, child })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An error once it has ended.
    pub(super) fn still_runs(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.obituary(status)),
            Err(error) => Err(Failure::unexpected(format!("cannot look after {}: {error}", self.name))),
        }
    }

    /// Waits until it ends, and tells why.
    pub(super) async fn ended(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(status) => self.obituary(status),
            Err(error) => Failure::unexpected(format!("cannot look after {}: {error}", self.name)),
        }
    }

    /// Asks it to end.
    pub(super) fn ask_to_end(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid {
            // It may have ended in this very moment, which is what is wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Waits for its end, and kills it when it takes too long.
    pub(super) async fn bury(mut self, patience: Duration) -> Result<(), Failure> {
        if timeout(patience, self.child.wait()).await.is_ok() {
            return Ok(());
        }
        // Already gone is fine as well.
        let _ = self.child.kill().await;
        Err(Failure::new(
            Exit::Failed,
            "stop_failed",
            format!("{} did not end within {} s and was killed", self.name, patience.as_secs()),
        )
        .with_hint(format!("its log is `{}`", self.log.display())))
    }

    fn obituary(&self, status: ExitStatus) -> Failure {
        let said = last_words(&self.log);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Failure::new(Exit::Failed, "program_ended", format!("{} ended ({status}){said}", self.name))
            .with_hint(format!("its whole log is `{}`", self.log.display()))
    }
}

/// The program, such that the kernel ends it when kt ends in whatever way, where util-linux is there to ask.
fn bound_to_our_life(program: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let setpriv = std::env::split_paths(&path).map(|dir| dir.join("setpriv")).find(|tool| tool.is_file());
    match setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args([
                OsStr::new("--pdeathsig"),
                OsStr::new("TERM"),
                OsStr::new("--"),
                program.as_os_str(),
            ]);
            command
        }
        None => Command::new(program),
    }
}

/// The end of a log, on one line.
fn last_words(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut kept: Vec<&str> = Vec::new();
    let mut length = 0;
    for line in text.lines().rev().map(str::trim).filter(|line| !line.is_empty()) {
        length += line.len();
        if !kept.is_empty() && (length > LAST_WORDS || kept.len() >= 4) {
            break;
        }
        kept.push(line);
    }
    kept.reverse();
    kept.join("; ").chars().take(LAST_WORDS).collect()
}
