//! The programs as they are built, each on its own directory: they can be killed, frozen and started again where
//! they were. What a crash test needs and an in-process fleet cannot give.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use service_kit::failpoint;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::fleet::{FLEET, KEY};
use crate::http::Http;
use crate::kt::fresh_binary;
use crate::operator::Operator;
use crate::process::{Process, read_log};

/// From the start of a process to its readiness, on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A directory that a database server of another user may pass through.
pub fn passable_dir() -> TempDir {
    let dir = tempfile::Builder::new().prefix("kt-run-").tempdir().expect("a temporary directory");
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).expect("its mode can be set");
    dir
}

/// Where a program's failpoints are told, below its directory.
const FAILPOINTS: &str = "failpoints";
const LOG: &str = "program.log";

/// `kt-control-plane` on a directory of its own.
#[derive(Debug)]
pub struct PlaneProgram {
    pub dir: PathBuf,
    /// `None`: a private cluster in its directory.
    pub database_url: Option<String>,
    /// More variables, at the next start.
    pub variables: Vec<(String, String)>,
    pub process: Option<Process>,
    port: u16,
    admin_port: u16,
}

/// `kt-gateway` on a home of its own.
#[derive(Debug)]
pub struct GatewayProgram {
    pub name: String,
    /// [`FLEET`] unless it is set.
    pub fleet: String,
    pub home: PathBuf,
    pub control_plane: String,
    pub token_file: PathBuf,
    /// Where its clients call it.
    pub port: u16,
    /// Words before the program's own, such as a tracer with its flags.
    pub wrapper: Vec<String>,
    /// More variables, at the next start.
    pub variables: Vec<(String, String)>,
    pub process: Option<Process>,
}

// === impl PlaneProgram ===

impl PlaneProgram {
    /// Not started yet. Its ports were free a moment ago and stay its own over every start.
    pub fn new(dir: &Path, database_url: Option<&str>) -> Self {
        std::fs::create_dir_all(dir).expect("a directory for the control plane");
        Self {
            dir: dir.to_owned(),
            database_url: database_url.map(str::to_owned),
            variables: Vec::new(),
            process: None,
            port: free_port(),
            admin_port: free_port(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Of gRPC.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    pub fn token_file(&self) -> PathBuf {
        self.dir.join("data/operator.token")
    }

    /// Arms failpoints, in the running process too; an empty text disarms all.
    pub fn arm(&self, points: &str) {
        arm(&self.dir, points);
    }

    /// All it ever wrote, over every start.
    pub fn log(&self) -> String {
        read_log(&self.dir.join(LOG))
    }

    /// Calls it as its operator; the token exists from the first start on.
    pub fn operator(&self) -> Operator {
        let token = std::fs::read_to_string(self.token_file()).expect("a token from the first start");
        Operator::new(self.url(), token)
    }

    /// Starts the process and returns at once.
    pub fn launch(&mut self) {
        let mut command = Command::new(fresh_binary("kt-control-plane"));
        command.arg("--data-dir").arg(self.dir.join("data"));
        command.arg("--listen").arg(format!("127.0.0.1:{}", self.port));
        command.arg("--metrics-listen").arg(format!("127.0.0.1:{}", self.admin_port));
        dress(&mut command, &self.dir, &self.variables);
        if let Some(url) = &self.database_url {
            // The server of the tests syncs nothing, to be fast.
            command.env("DATABASE_URL", url).env("KT_ALLOW_UNSAFE_DATABASE", "1");
        }
        self.process = Some(Process::start("kt-control-plane", command, &self.dir.join(LOG)));
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&mut self) {
        until_ready(&format!("{}/readyz", self.admin_url()), &mut self.process).await;
    }

    pub async fn start(&mut self) {
        self.launch();
        self.until_ready().await;
    }

    /// Kills it by force, if it runs.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }
}

// === impl GatewayProgram ===

impl GatewayProgram {
    /// Not started yet.
    pub fn new(dir: &Path, name: &str, plane: &PlaneProgram) -> Self {
        Self::at(dir, name, &plane.url(), &plane.token_file())
    }

    /// Of a control plane at this URL, whose operator's token lies in this file.
    pub fn at(dir: &Path, name: &str, control_plane: &str, token_file: &Path) -> Self {
        let home = dir.join(name);
        std::fs::create_dir_all(&home).expect("a home for the gateway");
        Self {
            name: name.to_owned(),
            fleet: FLEET.to_owned(),
            home,
            control_plane: control_plane.to_owned(),
            token_file: token_file.to_owned(),
            port: free_port(),
            wrapper: Vec::new(),
            variables: Vec::new(),
            process: None,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Arms failpoints, in the running process too; an empty text disarms all.
    pub fn arm(&self, points: &str) {
        arm(&self.home, points);
    }

    /// All it ever wrote, over every start.
    pub fn log(&self) -> String {
        read_log(&self.home.join(LOG))
    }

    /// Where it keeps its packs and its standing.
    pub fn instance_dir(&self) -> PathBuf {
        self.home.join("state/gateways").join(&self.name)
    }

    /// Starts the process and returns at once.
    pub fn launch(&mut self) {
        let program = fresh_binary("kt-gateway");
        let mut command = match self.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["--name", &self.name, "--fleet", &self.fleet, "--control-plane", &self.control_plane]);
        command.arg("--listen").arg(format!("127.0.0.1:{}", self.port));
        dress(&mut command, &self.home, &self.variables);
        command.env("KT_HOME", self.home.join("state")).env("KT_TOKEN_FILE", &self.token_file);
        command.env(KEY, "sk-test").current_dir(&self.home);
        let name = format!("kt-gateway {}", self.name);
        self.process = Some(Process::start(&name, command, &self.home.join(LOG)));
    }

    /// Waits until it serves under a pack.
    pub async fn until_ready(&mut self) {
        until_ready(&format!("{}/readyz", self.url()), &mut self.process).await;
    }

    /// The version under which it answers a client; `None`: it has no pack.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn served(&self) -> Result<Option<String>, String> {
        let answer = Http::new().get(&format!("{}/v1/models", self.url())).await;
        Ok(answer.map_err(|error| format!("{error:#}"))?.version().map(str::to_owned))
    }

    /// Waits until it answers a client under this version.
    pub async fn until_serves(&self, version: &str, limit: Duration) {
        eventually(&format!("{} serves {version}", self.name), limit, async || match self.served().await {
            Ok(Some(served)) if served == version => Ok(()),
            other => Err(other),
        })
        .await;
    }

    /// Kills it by force, if it runs.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }
}

async fn until_ready(url: &str, process: &mut Option<Process>) {
    let process = process.as_mut().expect("it was started");
    let http = Http::new();
    let http = &http;
    eventually(&format!("{url} says ready"), START_LIMIT, || {
        if let Some(status) = process.ended() {
            panic!("it ended ({status}):\n{}", process.last_words());
        }
        async move {
            let answer = http.get(url).await.map_err(|error| format!("{error:#}"))?;
            if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
        }
    })
    .await;
}

/// Arms failpoints from the next place on that a program passes; an empty text disarms all.
fn arm(dir: &Path, points: &str) {
    let (file, fresh) = (dir.join(FAILPOINTS), dir.join("failpoints.tmp"));
    std::fs::write(&fresh, points)
        .and_then(|()| std::fs::rename(&fresh, &file))
        .expect("failpoints can be told");
}

/// Nothing of the caller's environment but PATH and where PostgreSQL's programs are.
fn dress(command: &mut Command, dir: &Path, variables: &[(String, String)]) {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("RUST_BACKTRACE", "1");
    if let Some(bin) = std::env::var_os("KT_PG_BIN") {
        command.env("KT_PG_BIN", bin);
    }
    command.env(failpoint::VARIABLE, format!("@{}", dir.join(FAILPOINTS).display()));
    command.envs(variables.iter().map(|(name, value)| (name, value)));
}

/// Free at this moment. Taken from below the range that the system hands out for outgoing connections, or a
/// program that is killed could lose its port to one of them.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    // Processes of one run begin at different places.
    let offset = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default();
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7);
        let port = FIRST + (offset.wrapping_mul(37).wrapping_add(step)) % COUNT;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
