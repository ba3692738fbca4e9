//! What was asked for, validated: every error names the flag or the variable and says what to write.
//!
//! Reading the environment ends here; nothing below asks for a variable except for provider keys.

pub mod environment;
mod parse;
mod stored;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet_core::gateway::{FleetName, GatewayName, Labels};
use instance::Place;
use instance::documents::Source as SourceWord;
use policy_config::ConfigDigest;
use url::Url;

pub use environment::Environment;
pub use parse::SecretGlob;

use crate::activation::PROVING_TIME;
use crate::args::Args;
use crate::control::identity::TokenFile;

/// One gateway, ready to be bound.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: GatewayName,
    pub listen: SocketAddr,
    pub source: Source,
    /// `$KT_HOME`; the gateway's own directory is `gateways/<name>` in it.
    pub home: PathBuf,
    pub labels: Labels,
    pub env_file: Option<PathBuf>,
    pub secret_globs: Vec<SecretGlob>,
    pub decision_log: Option<PathBuf>,
    pub metrics_listen: Option<SocketAddr>,
    /// Bytes.
    pub max_body: usize,
    pub max_in_flight: usize,
    pub max_connections: usize,
    /// Absolute.
    pub working_dir: PathBuf,
    /// Where provider keys are looked up after the env file.
    pub environment: Environment,
    /// How long requests in flight may take after the drain began.
    pub drain_deadline: Duration,
    /// A pack that ran this long without a crash is good.
    pub proving_time: Duration,
}

/// Where packs come from; one a gateway.
#[derive(Debug, Clone)]
pub enum Source {
    File(PathBuf),
    ControlPlane(ControlPlaneSource),
    /// What its directory holds; of a gateway that was installed and is not managed.
    Stored(StoredSource),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSource {
    /// What SIGHUP reads.
    pub policy_file: Option<PathBuf>,
    /// The pack that the first start puts in force.
    pub installed: Option<ConfigDigest>,
}

#[derive(Debug, Clone)]
pub struct ControlPlaneSource {
    /// Plain http to a loopback host.
    pub url: Url,
    pub fleet: FleetName,
    /// Stands in for a join token at enrolment.
    pub operator_token: TokenFile,
}

/// Why the command line or the environment is not valid.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{what}: {problem}")]
    Invalid { what: &'static str, problem: String },
    #[error("{what}: there is no `{}`", path.display())]
    Missing { what: &'static str, path: PathBuf },
    #[error(
        "gateway `{0}` is not installed; install it with `kt gateway install --name {0}`, or name a source"
    )]
    NotInstalled(String),
    #[error("instance.json: `{}` cannot be used: {error}", path.display())]
    Description { path: PathBuf, error: std::io::Error },
    /// What was installed is not valid any more.
    #[error("instance.json: {0}")]
    Stored(Box<SettingsError>),
}

// === impl Settings ===

impl Settings {
    /// The flag, then what was installed if no flag names a source, then the variable, then the default. Creates nothing.
    ///
    /// # Errors
    /// The first thing that is not valid, by the flag or variable that said it.
    pub fn from_args(args: Args, environment: Environment) -> Result<Self, SettingsError> {
        let name: GatewayName = args.name.parse().map_err(|error| invalid("--name", error))?;
        if !args.stored && args.names_a_source() {
            let source = source(&args, &environment)?;
            return Self::of(args, name, source, environment);
        }
        let place = Place::new(&environment.state_home()?, name.as_str());
        match stored::description(&args, &place)? {
            Some(description) => stored::settings(args, name, description, environment),
            None => Err(invalid(
                "--policy-config",
                "a gateway needs a source: --policy-config FILE, or --control-plane URL --fleet FLEET",
            )),
        }
    }

    fn of(
        args: Args,
        name: GatewayName,
        source: Source,
        environment: Environment,
    ) -> Result<Self, SettingsError> {
        let listen = parse::address("--listen", args.listen.as_deref().unwrap_or(DEFAULT_LISTEN))?;
        let metrics_listen = args
            .metrics_listen
            .as_deref()
            .map(|text| parse::address("--metrics-listen", text))
            .transpose()?;
        if metrics_listen.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(invalid(
                "--metrics-listen",
                "metrics are served on loopback only, as 127.0.0.1:9464",
            ));
        }
        let globs = if args.secret_env.is_empty() { vec!["*_API_KEY".to_owned()] } else { args.secret_env };
        let secret_globs =
            globs.iter().map(|glob| SecretGlob::new(glob)).collect::<Result<_, SettingsError>>()?;
        if let Some(path) = &args.env_file {
            check_env_file(path)?;
        }
        Ok(Self {
            name,
            listen,
            source,
            home: environment.state_home()?,
            labels: parse::labels(&args.labels)?,
            env_file: args.env_file,
            secret_globs,
            decision_log: args.decision_log,
            metrics_listen,
            max_in_flight: parse::number("--max-in-flight", args.max_in_flight.as_deref())?.unwrap_or(4096),
            max_connections: parse::number("--max-connections", args.max_connections.as_deref())?
                .unwrap_or(16_384),
            max_body: parse::size("--max-body", args.max_body.as_deref().unwrap_or(DEFAULT_MAX_BODY))?,
            working_dir: working_dir(args.working_dir)?,
            environment,
            drain_deadline: Duration::from_secs(30),
            proving_time: PROVING_TIME,
        })
    }

    pub fn instance_dir(&self) -> PathBuf {
        self.place().dir().to_owned()
    }

    pub fn place(&self) -> Place {
        Place::new(&self.home, self.name.as_str())
    }

    /// As documents name the source.
    pub fn source_word(&self) -> SourceWord {
        match &self.source {
            Source::File(_) | Source::Stored(_) => SourceWord::Local,
            Source::ControlPlane(_) => SourceWord::ControlPlane,
        }
    }

    pub fn fleet(&self) -> Option<&FleetName> {
        match &self.source {
            Source::File(_) | Source::Stored(_) => None,
            Source::ControlPlane(source) => Some(&source.fleet),
        }
    }

    /// What SIGHUP reads.
    pub fn policy_file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Stored(stored) => stored.policy_file.as_deref(),
            Source::ControlPlane(_) => None,
        }
    }
}

// === impl SettingsError ===

impl SettingsError {
    /// Of the one table of exit codes.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid { .. } => 2,
            Self::Missing { .. } | Self::NotInstalled(_) => 3,
            Self::Description { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => 4,
            Self::Description { .. } => 2,
            Self::Stored(error) => error.exit_code(),
        }
    }

    /// The flag or variable that is to blame.
    fn what(&self) -> &'static str {
        match self {
            Self::Invalid { what, .. } | Self::Missing { what, .. } => what,
            Self::NotInstalled(_) => "--name",
            Self::Description { .. } => "instance.json",
            Self::Stored(error) => error.what(),
        }
    }
}

const DEFAULT_LISTEN: &str = "127.0.0.1:41002";
const DEFAULT_MAX_BODY: &str = "16MiB";

fn source(args: &Args, environment: &Environment) -> Result<Source, SettingsError> {
    match (&args.policy_config, &args.control_plane, &args.fleet) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => Err(invalid(
            "--policy-config",
            "a gateway has one source: a file or a control plane; leave out --policy-config, or --control-plane and --fleet",
        )),
        (Some(file), None, None) => Ok(Source::File(file.clone())),
        (None, Some(_), None) => {
            Err(invalid("--fleet", "--control-plane needs the fleet to join, as --fleet prod"))
        }
        (None, None, None) => Err(invalid(
            "--policy-config",
            "a gateway needs a source: --policy-config FILE, or --control-plane URL --fleet FLEET",
        )),
        (None, url, Some(fleet)) => {
            let (what, url) = match url {
                Some(url) => ("--control-plane", url.clone()),
                None => (
                    "KT_CONTROL_PLANE",
                    environment
                        .text("KT_CONTROL_PLANE")
                        .unwrap_or_else(|| "http://127.0.0.1:7443".to_owned()),
                ),
            };
            Ok(Source::ControlPlane(ControlPlaneSource {
                url: parse::control_plane(what, &url)?,
                fleet: fleet.parse().map_err(|error| invalid("--fleet", error))?,
                operator_token: environment.operator_token()?,
            }))
        }
    }
}

/// Another mode than 0600 is refused before anything is created; the file is read at each activation.
fn check_env_file(path: &Path) -> Result<(), SettingsError> {
    use crate::activation::env_file::{EnvFile, EnvFileError};
    match EnvFile::read(path) {
        Ok(_) => Ok(()),
        Err(EnvFileError::Missing(_)) => {
            Err(SettingsError::Missing { what: "--env-file", path: path.to_owned() })
        }
        Err(error) => Err(invalid("--env-file", error)),
    }
}

fn working_dir(given: Option<PathBuf>) -> Result<PathBuf, SettingsError> {
    let path = given.unwrap_or_else(|| PathBuf::from("."));
    match std::fs::canonicalize(&path) {
        Ok(found) if found.is_dir() => Ok(found),
        Ok(_) => Err(invalid("--working-dir", format!("`{}` is not a directory", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(SettingsError::Missing { what: "--working-dir", path })
        }
        Err(error) => Err(invalid("--working-dir", format!("`{}`: {error}", path.display()))),
    }
}

fn invalid(what: &'static str, problem: impl ToString) -> SettingsError {
    SettingsError::Invalid { what, problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
