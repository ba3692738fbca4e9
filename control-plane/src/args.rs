//! Flags and environment as typed; `settings` says what is valid.

use std::ffi::OsString;
use std::path::PathBuf;

/// Stores policy packs, rolls them out to gateways over gRPC and keeps the history.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "kt-control-plane", version, max_term_width = 100, after_help = DATABASE_HELP)]
pub struct Args {
    /// Where the operator token and the private database live [default: /var/lib/kt/control-plane as root,
    /// else $XDG_DATA_HOME/kt/control-plane]
    #[arg(long, env = "KT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Where gRPC is served; loopback only
    #[arg(long, env = "KT_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    pub listen: String,

    /// Where /healthz, /readyz and /metrics are served; loopback only
    #[arg(long, env = "KT_METRICS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7490")]
    pub metrics_listen: String,

    /// What is logged, such as `info` or `warn,control_plane=debug`
    #[arg(long, env = "KT_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How a log line looks: `text` or `json`
    #[arg(long, env = "KT_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: String,
}

/// The variables that have no flag: a password does not belong on a command line.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub database_url: Option<OsString>,
    pub allow_unsafe_database: Option<OsString>,
    pub xdg_data_home: Option<OsString>,
    pub home: Option<OsString>,
}

const DATABASE_HELP: &str = "\
Environment:
  DATABASE_URL  Postgres 15 or newer, as postgres://USER@HOST/DATABASE; without it a private
                Postgres of the installed binaries runs in the data directory
  KT_PG_BIN     the directory of those binaries, when they are not found
  KT_ALLOW_UNSAFE_DATABASE
                1: take a DATABASE_URL whose server has fsync, full_page_writes or synchronous_commit
                off, and lose confirmed versions at a crash; for tests";

// === impl Environment ===

impl Environment {
    pub fn of_process() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            database_url: set("DATABASE_URL"),
            allow_unsafe_database: set("KT_ALLOW_UNSAFE_DATABASE"),
            xdg_data_home: set("XDG_DATA_HOME"),
            home: set("HOME"),
        }
    }
}
