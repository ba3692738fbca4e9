//! A program of ours as a process of its own: started, killed, stopped in its tracks, woken; its log at hand.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For an orderly end on a loaded machine.
const END_LIMIT: Duration = Duration::from_secs(40);

/// A running process. Dropped, it is killed; a test that fails shows the end of its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

// === impl Process ===

impl Process {
    /// Starts it with nothing on stdin; both outputs are appended to `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let out = append(log);
        let err = out.try_clone().expect("one more handle of the log");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself; that is seen where it is waited for.
        let _ = kill(pid(self.child.id()), signal);
    }

    /// SIGSTOP: it holds all it has and does nothing.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Kills it by force and reaps it; answers how it ended, should that have been earlier.
    pub fn kill(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for")
    }

    /// Asks it to end and waits for that.
    pub fn end(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.until_ended(END_LIMIT)
    }

    /// How it ended; `None`: it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    pub fn until_ended(&mut self, limit: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                began.elapsed() < limit,
                "{} did not end within {limit:?}:\n{}",
                self.name,
                self.last_words()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// All it ever wrote, over every start.
    pub fn log(&self) -> String {
        read_log(&self.log)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the end of the log of {}\n{}", self.name, self.last_words());
        }
    }
}

/// A pid as signals want it.
pub fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a pid is small"))
}

pub(crate) fn read_log(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn append(log: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(log).expect("a log can be written")
}
