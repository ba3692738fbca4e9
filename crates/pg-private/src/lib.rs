//! A private PostgreSQL for a program that needs one and was given none: the installed server binaries, run
//! on a unix socket in a directory of the program's own, started again when they die, stopped with the
//! program however it ends.
//!
//! * Nothing is downloaded, no TCP port is opened, no password exists: the socket lies in a directory that
//!   only its owner can enter.
//! * PostgreSQL refuses to run as root, so a root program runs it as `postgres` (or `nobody`), by util-linux
//!   `setpriv`, which also asks the kernel to stop the server when the program dies.
//! * It knows nothing of schemas, SQL or whoever uses it.

#![forbid(unsafe_code)]

mod account;
mod binaries;
mod cluster;
mod error;
mod keeper;
mod lock;
mod log;
mod prepare;

use std::path::PathBuf;

pub use binaries::find_bin;
pub use cluster::{Cluster, ServerState};
pub use error::Error;
pub use prepare::Prepared;

/// The database superuser of every private cluster, and the user to connect as.
pub const USER: &str = "kt";

/// Where and how a private cluster runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's own directory; made when absent. When the program runs as root, every directory above
    /// it must let the server's user pass (`x`), so not below `/root` or a 0700 home.
    pub dir: PathBuf,
    /// Trades durability for speed (fsync off). For data that may be lost: tests only.
    pub unsafe_fast: bool,
    pub max_connections: u16,
    /// The directory of `postgres` and `initdb`; `None` looks for it, see [`find_bin`].
    pub bin: Option<PathBuf>,
}
