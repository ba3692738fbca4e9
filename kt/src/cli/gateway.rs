//! The commands for a gateway on this host: installed, supervised, changed and looked at.

use std::path::PathBuf;

use clap::Args;

use super::local::GatewayRunArgs;

/// What a history may be asked for; the words of [`instance::Action`].
pub(crate) const ACTIONS: [&str; 8] =
    ["install", "start", "stop", "restart", "reload", "revert", "crash_fallback", "uninstall"];

/// The flags of `run`, which `kt-gateway` checks.
#[derive(Debug, Args)]
pub(crate) struct GatewayInstallArgs {
    #[command(flatten)]
    pub(crate) run: GatewayRunArgs,
    /// The token that lets this gateway join its fleet
    #[arg(long, value_name = "FILE", requires = "fleet")]
    pub(crate) join_token_file: Option<PathBuf>,
    /// Only print a systemd unit for this gateway; nothing is installed
    #[arg(long)]
    pub(crate) print_systemd_unit: bool,
}

/// Which gateway of this host.
#[derive(Debug, Clone, Args)]
pub(crate) struct GatewayNameArgs {
    /// The gateway
    #[arg(long, default_value = "default")]
    pub(crate) name: String,
}

/// How long to wait for `start`, `stop` and `restart`.
#[derive(Debug, Args)]
pub(crate) struct GatewayTimedArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// How long to wait, such as 30s or 1m [default: 30s; stop: 60s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayStatusArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// What happened to it, as a table
    #[arg(long)]
    pub(crate) history: bool,
    /// What happened to it, as JSON
    #[arg(long)]
    pub(crate) history_json: bool,
    /// Only records of this action
    #[arg(long, value_name = "ACTION", value_parser = ACTIONS)]
    pub(crate) history_action: Option<String>,
    /// Only the newest N records
    #[arg(long, value_name = "N")]
    pub(crate) history_limit: Option<usize>,
}

/// Changes a gateway of a fleet on its host.
#[derive(Debug, Args)]
pub(crate) struct BreakGlassArgs {
    /// Change a gateway of a fleet here on its host, and pin it
    #[arg(long, requires = "reason")]
    pub(crate) break_glass: bool,
    /// Why; it stands in the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayReloadArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// The policy file, beneath the gateway's working directory [default: the installed one]
    #[arg(long, value_name = "PATH")]
    pub(crate) config_path: Option<PathBuf>,
    /// Only if this gateway answers there; http on loopback
    #[arg(long, value_name = "URL")]
    pub(crate) gateway_url: Option<String>,
    #[command(flatten)]
    pub(crate) break_glass: BreakGlassArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayRevertArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// Only if this gateway answers there; http on loopback
    #[arg(long, value_name = "URL")]
    pub(crate) gateway_url: Option<String>,
    #[command(flatten)]
    pub(crate) break_glass: BreakGlassArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayUnpinArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// Why; it stands in the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayLogsArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// Go on with what is written from now on
    #[arg(long, short = 'f')]
    pub(crate) follow: bool,
    /// The newest N lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayUninstallArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// Drop its history as well
    #[arg(long)]
    pub(crate) purge: bool,
}

/// How `kt gateway start` runs the supervisor.
#[derive(Debug, Args)]
pub(crate) struct GatewaySuperviseArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayNameArgs,
    /// The `kt-gateway` to run
    #[arg(long, value_name = "PATH")]
    pub(crate) program: PathBuf,
}
