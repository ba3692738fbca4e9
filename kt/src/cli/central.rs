//! The commands that ask a control plane: `fleet`, `config`, `rollout`, `history`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use fleet_core::rollout::WaitGoal;
use prost_types::Timestamp;

use super::Endpoint;
use crate::words::{parse_duration, parse_time};

#[derive(Debug, Subcommand)]
pub(crate) enum FleetCommand {
    /// Make a fleet
    Create(FleetArgs),
    /// All fleets
    List(ListArgs),
    /// One fleet
    Show(FleetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// 1-63 of a-z 0-9 -, starting with a letter or digit
    #[arg(value_name = "FLEET")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Store a policy file as a revision and, with --fleet, roll it out
    Push(Box<PushArgs>),
    /// The newest revision of every config
    List(ListArgs),
    /// The source of a revision, as it was pushed
    Show(ConfigShowArgs),
    /// What effectively changed between two revisions of a config
    Diff(ConfigDiffArgs),
    /// All revisions of a config, newest first
    History(ConfigHistoryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The policy file; `-` reads standard input
    pub(crate) file: PathBuf,
    /// Roll it out to this fleet
    #[arg(long)]
    pub(crate) fleet: Option<String>,
    /// Why, for the history
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub(crate) note: String,
    /// A repeated push with the same key answers as the first
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) idempotency_key: Option<String>,
    /// Refuse unless this is the newest revision; 0: the config must not exist yet
    #[arg(long, value_name = "N")]
    pub(crate) expect_revision: Option<u64>,
    /// Allow a pack.version that a stored revision has with other bytes
    #[arg(long)]
    pub(crate) allow_same_version: bool,
    /// Allow a dangerous change, such as a guard policy removed from the chain
    #[arg(long)]
    pub(crate) accept_risk: bool,
    #[command(flatten)]
    pub(crate) rollout: RolloutFlags,
    #[command(flatten)]
    pub(crate) wait: WaitFlags,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

/// How a rollout moves.
#[derive(Debug, Args)]
pub(crate) struct RolloutFlags {
    /// How the gateways are taken [default: all]
    #[arg(long, requires = "fleet")]
    pub(crate) strategy: Option<StrategyKind>,
    /// How long every gateway must stay active to be proven [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "fleet")]
    pub(crate) bake: Option<Duration>,
    /// Until when every gateway must be active [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "fleet")]
    pub(crate) deadline: Option<Duration>,
    /// Let the fleet change to another config
    #[arg(long, requires = "fleet")]
    pub(crate) replace_config: bool,
    /// End a rollout of this fleet that is still open
    #[arg(long, requires = "fleet")]
    pub(crate) supersede: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrategyKind {
    /// Every gateway at once
    All,
}

/// What is waited for means nothing when nobody waits.
#[derive(Debug, Args)]
#[command(mut_arg("goal", |goal| goal.requires("wait")), mut_arg("timeout", |timeout| timeout.requires("wait")))]
pub(crate) struct WaitFlags {
    /// Stay until the goal of --for is met or cannot be any more
    #[arg(long, requires = "fleet")]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) goal: GoalFlags,
}

#[derive(Debug, Args)]
pub(crate) struct GoalFlags {
    /// active, active=95%, proven or succeeded [default: active]
    #[arg(long = "for", value_name = "GOAL", value_parser = parse_goal)]
    pub(crate) goal: Option<WaitGoal>,
    /// Give up after this long [default: the rollout's deadline and bake, and a minute]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigShowArgs {
    /// The config, and which revision of it [default: the newest]
    #[arg(value_name = "NAME[@REVISION]")]
    pub(crate) config: String,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigDiffArgs {
    /// The older revision; a name alone compares its newest with the one before
    #[arg(value_name = "NAME[@REVISION]")]
    pub(crate) from: String,
    /// The newer revision [default: the newest]
    #[arg(value_name = "NAME[@REVISION]")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigHistoryArgs {
    /// The config
    #[arg(value_name = "NAME")]
    pub(crate) config: String,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Roll a stored revision out to a fleet
    Start(Box<RolloutStartArgs>),
    /// Where a rollout stands, and why
    Status(RolloutStatusArgs),
    /// Stay until a rollout met a goal or cannot any more
    Wait(RolloutWaitArgs),
    /// The rollouts of a fleet, newest first
    List(RolloutListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RolloutStartArgs {
    /// The stored revision
    #[arg(value_name = "NAME@REVISION")]
    pub(crate) config: String,
    /// The fleet
    #[arg(long)]
    pub(crate) fleet: String,
    /// Allow a dangerous change, such as a guard policy removed from the chain
    #[arg(long)]
    pub(crate) accept_risk: bool,
    /// A repeated start with the same key answers as the first
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) rollout: RolloutFlags,
    #[command(flatten)]
    pub(crate) wait: WaitFlags,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct RolloutStatusArgs {
    /// The rollout
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct RolloutWaitArgs {
    /// The rollout
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) goal: GoalFlags,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct RolloutListArgs {
    /// The fleet
    #[arg(long)]
    pub(crate) fleet: String,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HistoryCommand>,
    #[command(flatten)]
    pub(crate) list: HistoryListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// What a gateway ran at a time
    At(HistoryAtArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HistoryListArgs {
    /// Only of this fleet
    #[arg(long)]
    pub(crate) fleet: Option<String>,
    /// Only of this gateway
    #[arg(long, value_name = "[FLEET/]NAME")]
    pub(crate) gateway: Option<String>,
    /// Only of this config
    #[arg(long, value_name = "NAME")]
    pub(crate) config: Option<String>,
    /// Only of this kind; repeatable, or separated by commas
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// Only from this RFC 3339 time on
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,
    /// Only the newest N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Go on with events as they happen
    #[arg(long, conflicts_with = "limit")]
    pub(crate) follow: bool,
    /// With --follow, start after this event [default: now]
    #[arg(long, value_name = "N", requires = "follow")]
    pub(crate) cursor: Option<u64>,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryAtArgs {
    /// The gateway
    #[arg(long, value_name = "FLEET/NAME")]
    pub(crate) gateway: String,
    /// An RFC 3339 time
    #[arg(value_name = "TIME", value_parser = parse_time)]
    pub(crate) time: Timestamp,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

fn parse_goal(text: &str) -> Result<WaitGoal, String> {
    text.parse().map_err(|error: fleet_core::rollout::wait::InvalidGoal| error.to_string())
}
