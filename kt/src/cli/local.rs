//! The commands that act on this machine: `policy`, `gateway`, `dev`, `doctor`, `completions`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Subcommand};

use super::Endpoint;
use super::gateway::{
    GatewayInstallArgs, GatewayLogsArgs, GatewayReloadArgs, GatewayRevertArgs, GatewayStatusArgs,
    GatewaySuperviseArgs, GatewayTimedArgs, GatewayUninstallArgs, GatewayUnpinArgs,
};
use crate::templates::TEMPLATES;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say everything that is wrong with a policy file
    Lint(LintArgs),
    /// Run the tests of a pack through the gateway's own engine
    Test(TestArgs),
    /// What a gateway would do differently under another policy file
    Diff(DiffArgs),
    /// Write a pack with its tests, to begin with
    Init(InitArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The policy file; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// `policy-config.yaml` with its `testing.suites`, and the cases in `tests/*.json` beside it.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The directory with policy-config.yaml and tests/*.json
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) pack_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The policy file as it was; `-` reads standard input
    #[arg(value_name = "A")]
    pub(crate) from: PathBuf,
    /// The policy file as it shall be; `-` reads standard input
    #[arg(value_name = "B")]
    pub(crate) to: PathBuf,
}

/// Nothing that is there is overwritten.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// What to begin with
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = templates())]
    pub(crate) template: String,
    /// Where to write; made when it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Write nothing, list the templates
    #[arg(long, conflicts_with_all = ["template", "dir"])]
    pub(crate) list: bool,
}

fn templates() -> PossibleValuesParser {
    TEMPLATES.iter().map(|template| PossibleValue::new(template.name).help(template.about)).into()
}

#[derive(Debug, Subcommand)]
pub(crate) enum GatewayCommand {
    /// Keep a gateway's flags and its pack on this host, for `start`
    Install(Box<GatewayInstallArgs>),
    /// Start an installed gateway in the background, and wait until it is ready
    Start(GatewayTimedArgs),
    /// Stop a gateway; requests in flight are finished
    Stop(GatewayTimedArgs),
    /// Put a new process in a gateway's place without refusing a request
    Restart(GatewayTimedArgs),
    /// What a gateway runs, what it should run, and what happened to it
    Status(GatewayStatusArgs),
    /// Put a policy file into force on a running gateway
    Reload(GatewayReloadArgs),
    /// Go back to the last good pack
    Revert(GatewayRevertArgs),
    /// Let a gateway follow its fleet again
    Unpin(GatewayUnpinArgs),
    /// What a gateway wrote to its log
    Logs(GatewayLogsArgs),
    /// Stop a gateway and remove what it keeps; its history stays
    Uninstall(GatewayUninstallArgs),
    /// Run a gateway in the foreground: from a policy file, managed by a control plane, or as installed
    Run(Box<GatewayRunArgs>),
    /// The gateways of this host, or those of a fleet: desired, observed, liveness, last outcome
    List(GatewayListArgs),
    /// One gateway, with what became of its last generations
    Inspect(GatewayInspectArgs),
    #[command(hide = true)]
    Supervise(GatewaySuperviseArgs),
}

/// Handed to `kt-gateway` as they are; it says what is valid.
#[derive(Debug, Args)]
pub(crate) struct GatewayRunArgs {
    /// The gateway's name, and that of its directory below $KT_HOME/gateways
    #[arg(long, default_value = "default")]
    pub(crate) name: String,
    /// Where traffic is served [default: 127.0.0.1:41002]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Run this policy file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["control_plane", "fleet"])]
    pub(crate) policy_config: Option<PathBuf>,
    /// Be managed by this control plane [env: KT_CONTROL_PLANE] [default: http://127.0.0.1:7443]
    #[arg(long, value_name = "URL", requires = "fleet")]
    pub(crate) control_plane: Option<String>,
    /// The fleet to be part of
    #[arg(long)]
    pub(crate) fleet: Option<String>,
    /// A label the control plane knows this gateway by; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Read secrets from this file (mode 0600) before the environment
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Names of variables a pack may ask for; repeatable [default: *_API_KEY]
    #[arg(long = "secret-env", value_name = "GLOB")]
    pub(crate) secret_env: Vec<String>,
    /// Append decision events to this file instead of logs/decisions.jsonl
    #[arg(long, value_name = "PATH")]
    pub(crate) decision_log: Option<PathBuf>,
    /// Serve Prometheus metrics here; loopback only
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<String>,
    /// The largest request body, in bytes
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_body: Option<String>,
    /// Requests served at once; those beyond are answered 503 [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_in_flight: Option<String>,
    /// Client connections held at once; those beyond are answered 503 and closed [default: 16384]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_connections: Option<String>,
    /// Where relative paths start [default: here]
    #[arg(long, value_name = "DIR")]
    pub(crate) working_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayListArgs {
    /// The gateways of this fleet instead of those of this host
    #[arg(long)]
    pub(crate) fleet: Option<String>,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayInspectArgs {
    /// The gateway
    #[arg(value_name = "FLEET/NAME")]
    pub(crate) gateway: String,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Where everything is kept [default: dev below $KT_HOME]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How many gateways
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) gateways: u16,
    /// The name of their fleet
    #[arg(long, default_value = "dev")]
    pub(crate) fleet: String,
    /// Where the control plane serves gRPC
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    pub(crate) listen: SocketAddr,
    /// Where the control plane serves health and metrics [default: 127.0.0.1:7490, any port when --listen has 0]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// The first gateway's port on 127.0.0.1, the others follow; 0: any free ones
    #[arg(long, value_name = "PORT", default_value_t = 41101)]
    pub(crate) gateway_port: u16,
    /// Where the fake provider serves
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:41199")]
    pub(crate) provider_listen: SocketAddr,
    /// The key the fake provider asks for and the gateways hold as OPENAI_API_KEY
    #[arg(long, value_name = "KEY", default_value = "dev-only-key")]
    pub(crate) provider_key: String,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The control plane [env: KT_CONTROL_PLANE] [default: http://127.0.0.1:7443]
    // clap reads no variable here: the command tells what came from where
    #[arg(long, value_name = "URL")]
    pub(crate) control_plane: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
