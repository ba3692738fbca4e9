//! The clap tree: what may be typed, and nothing of what it means.

pub(crate) mod central;
pub(crate) mod gateway;
pub(crate) mod local;

use clap::{Args, Parser, Subcommand};

use central::{ConfigCommand, FleetCommand, HistoryArgs, RolloutCommand};
use local::{CompletionsArgs, DevArgs, DoctorArgs, GatewayCommand, PolicyCommand};

/// Change the policy of running AI gateways, and know what runs where.
#[derive(Debug, Parser)]
#[command(name = "kt", version, max_term_width = 80, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print JSON on stdout, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check, test and compare policy packs
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Run gateways, and see what those of a fleet run
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Named sets of gateways that run one config
    #[command(subcommand)]
    Fleet(FleetCommand),
    /// Stored versions of policy packs
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Move a fleet to a stored revision
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// What changed, when it activated, where
    History(HistoryArgs),
    /// Start a control plane, a fleet of gateways and a fake provider on this machine
    Dev(DevArgs),
    /// What is in force, where it comes from, and what is wrong
    Doctor(DoctorArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
}

/// Which control plane is asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct Endpoint {
    /// The control plane [default: http://127.0.0.1:7443]
    #[arg(long, value_name = "URL", env = "KT_CONTROL_PLANE", hide_env_values = true)]
    pub(crate) control_plane: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }
}
