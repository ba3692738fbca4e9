//! The command line of `kt-gateway`, as typed; `settings` says what of it is valid.

use std::path::PathBuf;

use clap::Parser;

/// Serves AI traffic under a policy pack, and swaps the pack without cutting a request.
#[derive(Debug, Clone, Parser)]
#[command(name = "kt-gateway", version, about, max_term_width = 100)]
pub struct Args {
    /// Name of this gateway and of its state directory: a-z 0-9 and -, at most 63
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub name: String,

    /// Address that clients talk to; port 0 picks a free one [default: 127.0.0.1:41002]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,

    /// Run from this policy file; SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    pub policy_config: Option<PathBuf>,

    /// Run what this control plane says [env: KT_CONTROL_PLANE] [default: http://127.0.0.1:7443]
    #[arg(long, value_name = "URL")]
    pub control_plane: Option<String>,

    /// The fleet to be a gateway of; makes the control plane the source
    #[arg(long, value_name = "FLEET")]
    pub fleet: Option<String>,

    /// A label of this gateway, for rollouts that select by label
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,

    /// File of NAME=VALUE lines with provider keys; its mode must be 0600
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,

    /// Which variables a pack may name as a key; may be given several times [default: *_API_KEY]
    #[arg(long = "secret-env", value_name = "GLOB")]
    pub secret_env: Vec<String>,

    /// Where decision events go [default: logs/decisions.jsonl in the state directory]
    #[arg(long, value_name = "PATH")]
    pub decision_log: Option<PathBuf>,

    /// Loopback address for /metrics, /healthz and /readyz; off by default
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_listen: Option<String>,

    /// Largest request body, in bytes or with KiB or MiB [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub max_body: Option<String>,

    /// Requests served at once; those beyond are answered 503 [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    pub max_in_flight: Option<String>,

    /// Client connections held at once; those beyond are answered 503 and closed [default: 16384]
    #[arg(long, value_name = "NUMBER")]
    pub max_connections: Option<String>,

    /// The directory that later reloads resolve their paths beneath [default: the present one]
    #[arg(long, value_name = "DIR")]
    pub working_dir: Option<PathBuf>,

    /// Run as it was installed; flags beside it win. Of an installed gateway it is what no source means
    #[arg(long, hide = true)]
    pub stored: bool,

    /// Say what a start would refuse of the flags and the environment, and make nothing
    #[arg(long, hide = true)]
    pub check: bool,

    /// Run for a supervisor: stdin is the socket to accept from, and the records of start and stop are the supervisor's
    #[arg(long, hide = true)]
    pub supervised: bool,

    /// Take over from the process of this gateway that serves
    #[arg(long, hide = true, requires = "supervised")]
    pub take_over: bool,
}

// === impl Args ===

impl Args {
    /// Whether the command line itself says this, by the name of its flag.
    pub(crate) fn gives(&self, flag: &str) -> bool {
        match flag {
            "--listen" => self.listen.is_some(),
            "--policy-config" => self.policy_config.is_some(),
            "--control-plane" => self.control_plane.is_some(),
            "--fleet" => self.fleet.is_some(),
            "--label" => !self.labels.is_empty(),
            "--env-file" => self.env_file.is_some(),
            "--secret-env" => !self.secret_env.is_empty(),
            "--decision-log" => self.decision_log.is_some(),
            "--metrics-listen" => self.metrics_listen.is_some(),
            "--max-body" => self.max_body.is_some(),
            "--max-in-flight" => self.max_in_flight.is_some(),
            "--max-connections" => self.max_connections.is_some(),
            "--working-dir" => self.working_dir.is_some(),
            _ => true,
        }
    }

    /// Whether it names a source of packs.
    pub(crate) fn names_a_source(&self) -> bool {
        self.policy_config.is_some() || self.control_plane.is_some() || self.fleet.is_some()
    }
}
