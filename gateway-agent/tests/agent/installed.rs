//! A gateway as `kt` installs and supervises it: its directory, the socket that outlives its processes, and the
//! processes themselves, whose logs are files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use instance::description::{Installed as Installation, InstalledPack};
use instance::documents::{Source, Status};
use instance::{Description, History, HistoryRecord, Place, door};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy_config::ConfigDigest;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::support::eventually;

pub(crate) const NAME: &str = "local-dev";

/// An installation.
pub(crate) struct Installed {
    pub(crate) home: TempDir,
    pub(crate) place: Place,
    /// What its supervisor would hold.
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// One of its processes, killed with the test.
pub(crate) struct Process {
    pub(crate) child: Child,
    log: PathBuf,
}

// === impl Installed ===

impl Installed {
    /// Installed with this pack, and never started.
    pub(crate) fn with(source: &[u8], version: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(&home.path().join("kt"), NAME);
        place.make().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let digest = ConfigDigest::of(source);
        fs::write(place.pack(digest), source).unwrap();
        fs::write(home.path().join("p.yaml"), source).unwrap();
        let installed = Self { home, place, listener, address };
        installed.describe(|description| {
            let pack = Some(InstalledPack { version: version.to_owned(), digest });
            description.installed = Some(Installation { at: OffsetDateTime::UNIX_EPOCH, pack });
        });
        installed
    }

    /// Writes its description anew.
    pub(crate) fn describe(&self, change: impl FnOnce(&mut Description)) {
        let found = Description::read(&self.place).ok().flatten();
        let mut description = found.unwrap_or_else(|| Description {
            name: NAME.to_owned(),
            source: Source::Local,
            listen: self.address.to_string(),
            working_dir: self.home.path().to_owned(),
            policy_config: Some(self.policy_file()),
            control_plane: None,
            fleet: None,
            labels: Vec::new(),
            env_file: None,
            secret_env: Vec::new(),
            decision_log: None,
            metrics_listen: None,
            max_body: None,
            max_in_flight: None,
            max_connections: None,
            installed: None,
        });
        change(&mut description);
        description.write(&self.place.description()).unwrap();
    }

    /// What SIGHUP reads.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.home.path().join("p.yaml")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kt-gateway"));
        command.args(["--name", NAME]).args(arguments).current_dir(self.home.path()).env_clear();
        command.env("KT_HOME", self.home.path().join("kt")).env("HOME", self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// As its supervisor would start it, on the socket that stays.
    pub(crate) fn supervised(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["--stored", "--supervised"]);
        command.args(arguments).stdin(OwnedFd::from(self.listener.try_clone().unwrap()));
        command
    }

    pub(crate) fn launch(&self, arguments: &[&str]) -> Process {
        self.spawn(self.supervised(arguments))
    }

    pub(crate) fn spawn(&self, mut command: Command) -> Process {
        let number = (0..).find(|number| !self.log(*number).exists()).unwrap();
        let log = self.log(number);
        command.stderr(append(&log));
        Process { child: command.spawn().unwrap(), log }
    }

    /// What a start that is refused says: exit code and stderr.
    pub(crate) fn refused(&self, mut command: Command) -> (i32, String) {
        let output = command.stderr(Stdio::piped()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// What is said at the door; `None`: nobody is there.
    pub(crate) fn status(&self) -> Option<Status> {
        let mut stream = door::connect(&self.place.admin_socket()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream
            .write_all(b"GET /keeptrusts/config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until this process steers, and is ready.
    pub(crate) async fn until_steers(&self, process: &mut Process) {
        let pid = process.child.id();
        eventually("it steers and is ready", || {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("it ended ({status}):\n{}", process.log());
            }
            match self.status() {
                Some(status) if status.pid == Some(pid) && status.ready => Ok(()),
                other => Err(format!("{other:?}\n{}", process.log())),
            }
        })
        .await;
    }

    pub(crate) fn history(&self) -> Vec<HistoryRecord> {
        History::of(&self.place).read().unwrap().records
    }

    /// Status line and headers of one request.
    pub(crate) fn head(&self, path: &str) -> String {
        self.try_head(path).unwrap()
    }

    pub(crate) fn try_head(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")?;
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            match line? {
                line if line.is_empty() => break,
                line => lines.push(line),
            }
        }
        Ok(lines.join("\n"))
    }

    /// Waits until clients are served under this version.
    pub(crate) async fn until_serves(&self, version: &str) {
        eventually(version, || {
            // A process that was killed takes its connections with it.
            let head = self.try_head("/v1/models").unwrap_or_default();
            let wanted = format!("x-kt-config-version: {version}");
            if head.contains(&wanted) { Ok(()) } else { Err(head) }
        })
        .await;
    }

    fn log(&self, number: u32) -> PathBuf {
        self.home.path().join(format!("process-{number}.log"))
    }
}

// === impl Process ===

impl Process {
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn until_log(&self, wanted: &str) {
        eventually(wanted, || {
            let log = self.log();
            if log.contains(wanted) { Ok(()) } else { Err(log) }
        })
        .await;
    }

    pub(crate) async fn until_ended(&mut self) -> ExitStatus {
        let log = self.log.clone();
        eventually("it ends", || {
            self.child.try_wait().unwrap().ok_or_else(|| fs::read_to_string(&log).unwrap_or_default())
        })
        .await
    }

    /// Asks it to end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.until_ended().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}
