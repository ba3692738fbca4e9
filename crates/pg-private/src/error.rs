//! Why there is no private cluster, each with what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no PostgreSQL server is installed (looked in $KT_PG_BIN, $PATH and /usr/lib/postgresql/*/bin); \
         install one with `apt-get install --no-install-recommends postgresql`, or set DATABASE_URL to a \
         server you have"
    )]
    NotInstalled,
    #[error("KT_PG_BIN is {0}, but `postgres` and `initdb` are not both there; correct it or unset it")]
    NotThere(PathBuf),
    #[error(
        "running as root, and PostgreSQL refuses to: neither user `postgres` nor user `nobody` exists to run \
         it as; make one with `useradd --system postgres`, or run as an ordinary user"
    )]
    NoUser,
    #[error(
        "user `{user}`, who runs PostgreSQL when you are root, cannot reach {path}: {blocker} does not let \
         others pass; choose a directory elsewhere (such as below /var/lib), or `chmod o+x {blocker}`"
    )]
    Unreachable { user: String, path: PathBuf, blocker: PathBuf },
    #[error(
        "{dir} is on a network file system ({kind}), where a database can lose data; choose a local disk"
    )]
    NetworkDisk { dir: PathBuf, kind: &'static str },
    #[error(
        "the socket path {path} has {length} bytes and the system allows 107; choose a directory with a \
         shorter name"
    )]
    SocketPath { path: PathBuf, length: usize },
    #[error("the database in {dir} is already running as pid {}; stop that one first", or_unknown(.pid))]
    AlreadyRunning { dir: PathBuf, pid: Option<u32> },
    #[error(
        "PostgreSQL (pid {pid}) of an earlier run still uses {dir} after {waited:?}; stop it with `kill -INT {pid}`"
    )]
    Lingering { dir: PathBuf, pid: u32, waited: Duration },
    #[error(
        "the installed PostgreSQL is {found}, and at least {wanted} is needed; point KT_PG_BIN at a newer one"
    )]
    TooOld { found: u32, wanted: u32 },
    #[error(
        "{dir} holds a PostgreSQL {found} cluster, but the installed server is {installed}; run pg_upgrade, or \
         point KT_PG_BIN at the binaries of {found}"
    )]
    OtherMajor { dir: PathBuf, found: u32, installed: u32 },
    #[error("`{program}` failed ({status}):\n{output}")]
    Failed { program: &'static str, status: String, output: String },
    #[error("PostgreSQL was not ready within {waited:?}; its log is {log}")]
    NotReady { waited: Duration, log: PathBuf },
    #[error("`{0}` is not installed; it is part of util-linux (`apt-get install util-linux`)")]
    NoTool(&'static str),
    #[error("cannot {action} {path}: {source}")]
    Disk { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the thread that keeps PostgreSQL has ended")]
    KeeperGone,
}

impl Error {
    /// For `map_err`: what was tried on which path.
    pub(crate) fn disk(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { action, path, source }
    }
}

fn or_unknown(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
}
