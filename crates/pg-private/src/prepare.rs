//! Makes the directory of a cluster ready to serve (permissions, `initdb` once) and says how its server is
//! started. Blocking; the cluster's own thread calls it.
//!
//! Layout: `data/` and `run/` belong to the server's user; the directory itself, the lock and the log stay
//! with the program, so that the server cannot plant links where root writes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::statfs::{NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, statfs};

use crate::account::Account;
use crate::{Error, Options, USER, binaries};

/// The part of the socket's path after the directory; the port is only a name here.
const SOCKET_NAME: &str = ".s.PGSQL.5432";
const LONGEST_SOCKET_PATH: usize = 107;
const CIFS_MAGIC: i64 = 0xff53_4d42;
const SMB2_MAGIC: i64 = 0xfe53_4d42;

/// A cluster directory that is ready to serve.
#[derive(Clone, Debug)]
pub struct Prepared {
    dir: PathBuf,
    bin: PathBuf,
    account: Option<Account>,
    unsafe_fast: bool,
    max_connections: u16,
}

// === impl Prepared ===

impl Prepared {
    /// Checks everything that can be checked before the server runs. The caller holds the directory's lock.
    pub(crate) fn new(options: &Options, dir: PathBuf) -> Result<Self, Error> {
        let bin = options.bin.clone().map_or_else(binaries::find_bin, Ok)?;
        let account = Account::to_drop_to()?;
        let prepared = Self {
            dir,
            bin,
            account,
            unsafe_fast: options.unsafe_fast,
            max_connections: options.max_connections,
        };
        prepared.check_place()?;
        prepared.make_directories()?;
        prepared.make_data(binaries::major(&prepared.bin)?)?;
        Ok(prepared)
    }

    /// For a caller that runs [`Prepared::server_command`] itself and keeps others from doing the same.
    pub fn unlocked(options: &Options) -> Result<Self, Error> {
        Self::new(options, make_dir(&options.dir)?)
    }

    /// The directory of the unix socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// The server's command line, without stdio.
    ///
    /// With `stop_with_parent` the kernel stops the server when the **thread** that spawned it ends, so that
    /// thread must live as long as the server shall.
    pub fn server_command(&self, stop_with_parent: bool) -> Command {
        let mut command = self.command("postgres", stop_with_parent.then_some("INT"));
        command.arg("-D").arg(self.data_dir()).arg("-k").arg(quoted(&self.socket_dir()));
        let connections = format!("max_connections={}", self.max_connections);
        let settings = [
            "listen_addresses=",
            "unix_socket_permissions=0700",
            "logging_collector=off",
            "log_destination=stderr",
            "log_timezone=UTC",
            "timezone=UTC",
            &connections,
        ];
        let fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
        let fast = fast.iter().take(if self.unsafe_fast { fast.len() } else { 0 });
        for setting in settings.iter().chain(fast) {
            command.args(["-c", setting]);
        }
        // Its own group, so that ^C at the terminal reaches the program, which then stops it in order.
        command.process_group(0);
        command
    }

    /// Whether the server with this pid has told that it accepts connections.
    pub fn is_ready(&self, pid: u32) -> bool {
        let text = fs::read_to_string(self.lock_file()).unwrap_or_default();
        let mut lines = text.lines();
        let ours = lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid);
        // The eighth line is the state; the file is rewritten in place.
        ours && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    }

    /// An earlier server did not end in order, or has not ended.
    pub(crate) fn lock_file_is_left(&self) -> bool {
        self.lock_file().exists()
    }

    /// Removes the lock files of a server that is dead and stays in the table of processes, because nobody reaps it
    /// (the first process of many containers does not). The server itself takes it for alive.
    pub(crate) fn remove_locks_of_dead(&self) -> Result<(), Error> {
        let socket_lock = self.socket_dir().join(format!("{SOCKET_NAME}.lock"));
        for file in [self.lock_file(), socket_lock] {
            let Some(pid) = first_line_pid(&file) else { continue };
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if is_unreaped(&stat) {
                tracing::warn!(pid, file = %file.display(), "an earlier PostgreSQL is dead and not reaped; its lock goes");
                fs::remove_file(&file).map_err(Error::disk("remove", &file))?;
            }
        }
        Ok(())
    }

    fn lock_file(&self) -> PathBuf {
        self.data_dir().join("postmaster.pid")
    }

    /// The pid of a server that still runs on this data directory.
    pub(crate) fn running_server(&self) -> Option<u32> {
        let pid = first_line_pid(&self.lock_file())?;
        // The pid may have been reused since; a postmaster works in its data directory.
        let ours = match fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(works_in) => works_in == self.data_dir(),
            // In most containers not even root may look at what another user's process does: its name must do.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                is_living_postgres(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default())
            }
            Err(_) => false,
        };
        ours.then_some(pid)
    }

    fn check_place(&self) -> Result<(), Error> {
        if let Some(kind) = network_disk(&self.dir)? {
            return Err(Error::NetworkDisk { dir: self.dir.clone(), kind });
        }
        let socket = self.socket_dir().join(SOCKET_NAME);
        let length = socket.as_os_str().len();
        if length > LONGEST_SOCKET_PATH {
            return Err(Error::SocketPath { path: socket, length });
        }
        if let Some(account) = &self.account {
            account.check_reaches(&self.dir)?;
            account.check_reaches(&self.bin.join("postgres"))?;
        }
        Ok(())
    }

    fn make_directories(&self) -> Result<(), Error> {
        // Others may pass, not look: the server's user has to get through to its own two directories.
        set_mode(&self.dir, if self.account.is_some() { 0o711 } else { 0o700 })?;
        self.make_server_dir(&self.socket_dir())
    }

    /// `initdb` beside and rename: an interrupted first start is never taken for a cluster.
    fn make_data(&self, installed: u32) -> Result<(), Error> {
        let data = self.data_dir();
        let version = data.join("PG_VERSION");
        if !version.exists() {
            let unfinished = self.dir.join("data.new");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).map_err(Error::disk("remove", &unfinished))?;
            }
            self.make_server_dir(&unfinished)?;
            self.run_initdb(&unfinished)?;
            fs::rename(&unfinished, &data).map_err(Error::disk("rename to", &data))?;
        }
        let text = fs::read_to_string(&version).map_err(Error::disk("read", &version))?;
        let found = text.trim().parse().unwrap_or(0);
        if found != installed {
            return Err(Error::OtherMajor { dir: data, found, installed });
        }
        Ok(())
    }

    fn run_initdb(&self, data: &Path) -> Result<(), Error> {
        let mut command = self.command("initdb", Some("TERM"));
        command.arg("-D").arg(data).args(["-U", USER, "--auth-local=trust", "--auth-host=reject"]);
        command.args(["--encoding=UTF8", "--locale=C", "--no-instructions"]);
        if self.unsafe_fast {
            command.arg("--no-sync");
        }
        let output = command.stdin(Stdio::null()).output().map_err(spawn_error)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Failed {
            program: "initdb",
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// A server program in a clean environment, as the unprivileged user when the program is root.
    ///
    /// `setpriv` replaces itself by the program, so the pid is the program's.
    fn command(&self, program: &str, signal_on_parent_death: Option<&str>) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(signal) = signal_on_parent_death {
            command.args(["--pdeathsig", signal]);
        }
        if let Some(account) = &self.account {
            command.arg(format!("--reuid={}", account.uid())).arg(format!("--regid={}", account.gid()));
            command.arg("--clear-groups");
        }
        command.args(["--no-new-privs", "--"]).arg(self.bin.join(program));
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir("/");
        command
    }

    fn make_server_dir(&self, path: &Path) -> Result<(), Error> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::disk("make", path))?;
        if let Some(account) = &self.account {
            account.give(path)?;
        }
        set_mode(path, 0o700)
    }
}

/// Makes the cluster's directory and follows its links, so that later checks see the real place.
pub(crate) fn make_dir(dir: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(dir).map_err(Error::disk("make", dir))?;
    fs::canonicalize(dir).map_err(Error::disk("resolve", dir))
}

fn first_line_pid(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

/// From the kernel's `PID (name) state …`; nobody may be there to reap a dead one.
fn is_living_postgres(stat: &str) -> bool {
    let after = stat.split_once(" (postgres) ").map_or("", |(_, after)| after);
    !after.is_empty() && !after.starts_with(['Z', 'X'])
}

/// From the same line: dead, and still in the table. The name may hold parentheses.
fn is_unreaped(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, after)| after.starts_with(['Z', 'X']))
}

/// One entry of the server's list of socket directories, where a comma would begin the next one.
fn quoted(dir: &Path) -> OsString {
    let bytes = dir.as_os_str().as_bytes();
    let mut text = vec![b'"'];
    for byte in bytes {
        text.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    }
    text.push(b'"');
    OsString::from_vec(text)
}

pub(crate) fn spawn_error(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::NoTool("setpriv"),
        _ => Error::disk("run", "setpriv")(source),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::disk("set the mode of", path))
}

fn network_disk(dir: &Path) -> Result<Option<&'static str>, Error> {
    let kind = statfs(dir).map_err(|errno| Error::disk("look at", dir)(errno.into()))?.filesystem_type();
    Ok(match kind {
        NFS_SUPER_MAGIC => Some("NFS"),
        SMB_SUPER_MAGIC => Some("SMB"),
        other if [CIFS_MAGIC, SMB2_MAGIC].contains(&other.0) => Some("SMB"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_server_is_told_from_a_dead_one_and_from_others() {
        assert!(is_living_postgres("14532 (postgres) S 14224 14532 23005 0 -1"));
        for other in ["14532 (postgres) Z 1 14532 0", "14532 (kt-gateway) S 1 2 3", "14532 (postgres)", ""] {
            assert!(!is_living_postgres(other), "{other}");
        }
        assert!(is_unreaped("14532 (a (b) c) Z 1 14532 0"));
        assert!(!is_unreaped("14532 (Z) S 1 14532 0") && !is_unreaped(""));
    }
}
