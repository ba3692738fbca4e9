//! Where `kt dev` plays: its directories, its addresses, and what it tells about them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fake_provider::{Bound, FakeProvider};
use serde::Serialize;

use crate::cli::local::DevArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::state_dir;

/// Everything that is decided before anything is started.
#[derive(Debug)]
pub(super) struct Place {
    /// Held as long as this `kt dev` lives.
    _lock: File,
    pub(super) data_dir: PathBuf,
    pub(super) control_plane: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) provider: SocketAddr,
    /// Names and addresses, in order.
    pub(super) gateways: Vec<(String, SocketAddr)>,
}

/// The one line of `kt dev --json`.
#[derive(Debug, Serialize)]
struct ReadyView {
    control_plane: String,
    token_file: PathBuf,
    metrics: String,
    provider: String,
    fleet: String,
    gateways: Vec<GatewayUrl>,
    data_dir: PathBuf,
    policy_config: PathBuf,
    logs: PathBuf,
}

#[derive(Debug, Serialize)]
struct GatewayUrl {
    name: String,
    url: String,
}

/// A pack to push: the product's first example, with the fake provider in place of a real one.
const STARTER_PACK: &str = r#"pack:
  name: local-dev
  version: 0.1.0
  enabled: true
providers:
  targets:
    - id: fake
      provider: openai
      model: "*"
      base_url: BASE_URL
      secret_key_ref:
        env: OPENAI_API_KEY
policies:
  chain:
    - prompt-injection
    - audit-logger
policy:
  prompt-injection:
    response:
      action: block
      message: "Request blocked: potential prompt injection detected"
  audit-logger: {}
"#;

// === impl Place ===

impl Place {
    /// Makes the directories and finds a port wherever 0 was asked for.
    pub(super) fn prepare(args: &DevArgs) -> Result<Self, Failure> {
        check_loopback("--listen", Some(args.listen))?;
        check_loopback("--metrics-listen", args.metrics_listen)?;
        check_loopback("--provider-listen", Some(args.provider_listen))?;
        let data_dir = args.data_dir.clone().unwrap_or_else(default_dir);
        let data_dir = std::path::absolute(&data_dir).map_err(|error| cannot_make(&data_dir, &error))?;
        make_dir(&data_dir)?;
        let lock = lock(&data_dir)?;
        let mut ports = Ports::default();
        let metrics_wanted = args.metrics_listen.unwrap_or_else(|| {
            // With a control plane on any port, a second `kt dev` beside a first must not meet on this one.
            SocketAddr::new(args.listen.ip(), if args.listen.port() == 0 { 0 } else { 7490 })
        });
        let gateways = (0..args.gateways)
            .map(|index| {
                let port =
                    if args.gateway_port == 0 { Some(0) } else { args.gateway_port.checked_add(index) };
                let port = port.ok_or_else(|| {
                    Failure::usage("--gateway-port", "there are not that many ports after it")
                })?;
                let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                Ok((format!("edge-{}", index + 1), ports.take("--gateway-port", wanted)?))
            })
            .collect::<Result<_, Failure>>()?;
        let place = Self {
            control_plane: ports.take("--listen", args.listen)?,
            metrics: ports.take("--metrics-listen", metrics_wanted)?,
            provider: ports.take("--provider-listen", args.provider_listen)?,
            gateways,
            data_dir,
            _lock: lock,
        };
        make_dir(&place.logs())?;
        place.write_starter_pack()?;
        Ok(place)
    }

    pub(super) fn control_plane_dir(&self) -> PathBuf {
        self.data_dir.join("control-plane")
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.control_plane_dir().join("operator.token")
    }

    /// The `KT_HOME` of the gateways.
    pub(super) fn gateways_home(&self) -> PathBuf {
        self.data_dir.join("home")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.data_dir.join("logs")
    }

    pub(super) fn control_plane_url(&self) -> String {
        format!("http://{}", self.control_plane)
    }

    pub(super) async fn bind_provider(&self) -> Result<Bound, Failure> {
        FakeProvider::bind(self.provider)
            .await
            .map_err(|error| taken("--provider-listen", self.provider, &error))
    }

    /// Tells that everything is up, and what to try.
    pub(super) fn show(&self, args: &DevArgs, printer: &Printer, took: Duration) -> Result<(), Failure> {
        let gateways: Vec<_> = self
            .gateways
            .iter()
            .map(|(name, address)| GatewayUrl { name: name.clone(), url: format!("http://{address}") })
            .collect();
        let view = ReadyView {
            control_plane: self.control_plane_url(),
            token_file: self.token_file(),
            metrics: format!("http://{}", self.metrics),
            provider: format!("http://{}", self.provider),
            fleet: args.fleet.clone(),
            gateways,
            data_dir: self.data_dir.clone(),
            policy_config: self.starter_pack(),
            logs: self.logs(),
        };
        if printer.is_json() { printer.json_line(&view) } else { printer.text(&view.text(took)) }
    }

    fn starter_pack(&self) -> PathBuf {
        self.data_dir.join("policy-config.yaml")
    }

    /// Written with the provider's present address; once somebody changed more than that, it is theirs.
    fn write_starter_pack(&self) -> Result<(), Failure> {
        let path = self.starter_pack();
        let text = STARTER_PACK.replace("BASE_URL", &format!("http://{}", self.provider));
        let theirs = match fs::read(&path) {
            Ok(there) => std::str::from_utf8(&there)
                .map_or(true, |there| without_address(there) != without_address(&text)),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if theirs {
            return Ok(());
        }
        fs::write(&path, text).map_err(|error| cannot_make(&path, &error))
    }
}

// === impl ReadyView ===

impl ReadyView {
    fn text(&self, took: Duration) -> String {
        let gateways: Vec<_> =
            self.gateways.iter().map(|gateway| format!("  {:13} {}", gateway.name, gateway.url)).collect();
        let first = self.gateways.first().map(|gateway| gateway.url.as_str()).unwrap_or_default();
        let (pack, fleet) = (self.policy_config.display(), &self.fleet);
        format!(
            "\
everything is up after {:.1} s

  control plane {}
  provider      {}
{}
  logs          {}

try, in another terminal:

  export KT_CONTROL_PLANE={} KT_TOKEN_FILE={}
  kt config push {pack} --fleet {fleet} --wait
  kt gateway list --fleet {fleet}
  curl -s {first}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{\"model\":\"any\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'
  kt history --follow

^C ends it all.
",
            took.as_secs_f64(),
            self.control_plane,
            self.provider,
            gateways.join("\n"),
            self.logs.display(),
            self.control_plane,
            self.token_file.display(),
        )
    }
}

/// Ports that were asked for or found free; held open until all are chosen, so that none is found twice.
#[derive(Debug, Default)]
struct Ports {
    held: Vec<TcpListener>,
}

// === impl Ports ===

impl Ports {
    /// The address to use; an early, clear word when somebody has it already.
    fn take(&mut self, flag: &str, wanted: SocketAddr) -> Result<SocketAddr, Failure> {
        let listener = TcpListener::bind(wanted).map_err(|error| taken(flag, wanted, &error))?;
        let address = listener.local_addr().map_err(|error| taken(flag, wanted, &error))?;
        self.held.push(listener);
        Ok(address)
    }
}

fn check_loopback(flag: &str, address: Option<SocketAddr>) -> Result<(), Failure> {
    match address.filter(|address| !address.ip().is_loopback()) {
        None => Ok(()),
        Some(address) => Err(Failure::usage(flag, format!("`{address}` is not on loopback"))
            .with_hint("kt dev is for one machine; write it as 127.0.0.1:7443")),
    }
}

fn without_address(pack: &str) -> Vec<&str> {
    pack.lines().filter(|line| !line.trim_start().starts_with("base_url:")).collect()
}

fn make_dir(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| cannot_make(dir, &error))
}

/// Two on one directory would write each other's logs.
fn lock(data_dir: &Path) -> Result<File, Failure> {
    let path = data_dir.join("dev.lock");
    let file = File::create(&path).map_err(|error| cannot_make(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Exit::Conflict,
            "already_running",
            format!("another `kt dev` runs in `{}`", data_dir.display()),
        )
        .with_hint("end it, or choose another directory with --data-dir")),
        Err(TryLockError::Error(error)) => Err(cannot_make(&path, &error)),
    }
}

/// Below the state directory; as root where the database's own account can go, which is not below /root.
fn default_dir() -> PathBuf {
    let root_without_choice = nix::unistd::geteuid().is_root() && std::env::var_os("KT_HOME").is_none();
    let base = if root_without_choice { PathBuf::from("/var/lib/kt") } else { state_dir() };
    base.join("dev")
}

fn taken(flag: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Conflict, "address_taken", format!("cannot listen on {address}: {error}"))
        .with_field(flag)
        .with_hint(format!("end what has it, or choose another with {flag}"))
}

fn cannot_make(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "storage_failed", format!("cannot write `{}`: {error}", path.display()))
        .with_hint("choose another directory with --data-dir")
}
