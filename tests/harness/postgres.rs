//! A PostgreSQL for tests: one throwaway server a run, shared by every test process whoever starts it
//! (nextest, `cargo test`, an editor), and one database a test, copied from a template made once for each
//! set of migrations. `DATABASE_URL` names another server to use instead.
//!
//! Every test process holds a shared lock. The server is run by a watcher, a small shell loop in a session of
//! its own, which stops it and removes its directory once it can take the lock alone. It keeps the lock until
//! it is done, so a newcomer waits and then starts afresh: neither can meet the other half way.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pg_private::{Options, Prepared};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool};

const START_LIMIT: Duration = Duration::from_secs(60);
const MAX_CONNECTIONS: u16 = 400;
/// Any number, the same in every test process: one of them makes a template.
const TEMPLATE_LOCK: i64 = 0x6b74_7465;

/// `$1` is the users' lock, `$2` the server's directory, the rest its command line. Descriptor 9 is the lock,
/// not handed on to the server, which would keep it for ever.
const WATCHER: &str = r#"
lock=$1; dir=$2; shift 2
exec 9<"$lock"
"$@" 9<&- &
server=$!
trap 'kill -INT $server 2>/dev/null' TERM
while kill -0 $server 2>/dev/null; do
    sleep 3 9<&-
    if flock -n -x 9; then
        kill -INT $server 2>/dev/null
        wait $server
        rm -rf "$dir"
        exit
    fi
done
"#;

/// One test's own database, with the migrations applied. On another's server (`DATABASE_URL`) it is dropped
/// with this value, unless the test failed.
#[derive(Debug)]
pub struct TestDatabase {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    /// The same as a URL, for a program that reads `DATABASE_URL`.
    pub url: String,
    name: String,
    /// Where to connect to drop it again; `None` on the throwaway server.
    cleanup: Option<PgConnectOptions>,
}

/// The server of this process.
#[derive(Debug)]
struct Server {
    options: PgConnectOptions,
    /// Held until the process ends; the kernel lets it go.
    _in_use: Option<File>,
}

/// A fresh database with `migrator` applied.
///
/// # Panics
/// When there is no PostgreSQL, or it refuses: the test cannot run, and says why.
pub async fn database(migrator: &Migrator) -> TestDatabase {
    must(try_database(migrator).await)
}

/// A fresh and empty database, for the tests of the migrations themselves.
///
/// # Panics
/// As [`database`].
pub async fn empty_database() -> TestDatabase {
    must(try_copy("template0").await)
}

// === impl TestDatabase ===

impl TestDatabase {
    /// Another database with what is in this one. Whoever is connected is cut off for a moment.
    ///
    /// # Panics
    /// As [`database`].
    pub async fn copy(&self) -> Self {
        must(self.try_copy().await)
    }

    /// Puts a copy that was made before in its place, under whoever uses it: as an administrator restores a backup.
    ///
    /// # Panics
    /// As [`database`].
    pub async fn go_back_to(&self, backup: Self) {
        must(self.try_go_back_to(backup).await);
    }

    async fn try_copy(&self) -> Result<Self> {
        let mut connection = server().await?.options.connect().await?;
        close_to_all(&mut connection, &self.name).await?;
        let copied = try_copy(&self.name).await;
        execute(&mut connection, format!("alter database {} with allow_connections true", self.name)).await?;
        copied
    }

    async fn try_go_back_to(&self, backup: Self) -> Result<()> {
        let mut connection = server().await?.options.connect().await?;
        let (ours, restored) = (&self.name, &backup.name);
        for name in [ours, restored] {
            close_to_all(&mut connection, name).await?;
        }
        for statement in [
            format!("alter database {ours} rename to {ours}_lost"),
            format!("alter database {restored} rename to {ours}"),
            format!("alter database {ours} with allow_connections true"),
            format!("drop database {ours}_lost"),
        ] {
            execute(&mut connection, statement).await?;
        }
        Ok(())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(server) = self.cleanup.take() else { return };
        if std::thread::panicking() {
            return;
        }
        let statement = format!("drop database if exists {} with (force)", self.name);
        // A runtime of its own: the test's may be of one thread, which is dropping this.
        let dropping = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = server.connect().await?;
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
                Ok(())
            })
        });
        if let Ok(Err(error)) = dropping.join() {
            tracing::warn!(%error, database = self.name, "cannot drop the test's database");
        }
    }
}

/// Cuts every session off and lets none back in: a template and a database that is renamed must have none.
async fn close_to_all(connection: &mut PgConnection, name: &str) -> Result<()> {
    for statement in [
        format!("alter database {name} with allow_connections false"),
        format!("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{name}'"),
    ] {
        execute(connection, statement).await?;
    }
    Ok(())
}

async fn try_database(migrator: &Migrator) -> Result<TestDatabase> {
    let server = server().await?;
    let template = template_name(migrator);
    let mut connection = server.options.connect().await.context("cannot connect to the test server")?;
    sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut connection).await?;
    let made = make_template(migrator, &server.options, &mut connection, &template).await;
    // Closing the session lets the lock go, also when the making failed.
    connection.close().await?;
    made.with_context(|| format!("cannot make the template database {template}"))?;
    try_copy(&template).await
}

/// An unfinished template is not marked as one, and is made again.
async fn make_template(
    migrator: &Migrator,
    server: &PgConnectOptions,
    connection: &mut PgConnection,
    template: &str,
) -> Result<()> {
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
            .bind(template)
            .fetch_one(&mut *connection)
            .await?;
    if exists {
        return Ok(());
    }
    execute(connection, format!("drop database if exists {template} with (force)")).await?;
    execute(connection, format!("create database {template} template template0")).await?;
    let mut inside = server.clone().database(template).connect().await?;
    migrator.run(&mut inside).await?;
    inside.close().await?;
    execute(connection, format!("alter database {template} with is_template true allow_connections false"))
        .await
}

async fn try_copy(template: &str) -> Result<TestDatabase> {
    let server = server().await?;
    let name = format!("kt_test_{}", uuid::Uuid::now_v7().simple());
    let mut connection = server.options.connect().await.context("cannot connect to the test server")?;
    execute(&mut connection, format!("create database {name} template {template}")).await?;
    connection.close().await?;
    let options = server.options.clone().database(&name);
    let pool = PgPoolOptions::new().max_connections(8).connect_with(options.clone()).await?;
    let cleanup = server._in_use.is_none().then(|| server.options.clone());
    Ok(TestDatabase { pool, url: options.to_url_lossy().to_string(), options, name, cleanup })
}

async fn execute(connection: &mut PgConnection, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// The same for the same migrations only, so that two checkouts or two branches do not mix.
fn template_name(migrator: &Migrator) -> String {
    let mut text = Vec::new();
    for migration in migrator.iter() {
        text.extend_from_slice(&migration.version.to_be_bytes());
        text.extend_from_slice(&migration.checksum);
    }
    format!("kt_template_{:016x}", fingerprint(&text))
}

async fn server() -> Result<&'static Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    // Blocking: it waits for other processes.
    let found = tokio::task::spawn_blocking(|| {
        SERVER.get_or_init(|| find_or_start().map_err(|error| format!("{error:#}")))
    });
    found.await?.as_ref().map_err(|message| anyhow::anyhow!(message.clone()))
}

fn find_or_start() -> Result<Server> {
    if let Some(url) = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
        let options = url.parse().context("DATABASE_URL is not the URL of a PostgreSQL server")?;
        return Ok(Server { options, _in_use: None });
    }
    let base = base_path();
    let in_use = open_lock(&base.with_extension("users"))?;
    in_use.lock_shared()?;
    // Let go at the end of this function; the shared one is kept.
    let starting = open_lock(&base.with_extension("start"))?;
    starting.lock()?;
    let options =
        Options { dir: base.clone(), unsafe_fast: true, max_connections: MAX_CONNECTIONS, bin: None };
    let socket_dir = base.join("run");
    if !answers(&socket_dir) {
        // What a run that was cut off left behind was never synced to disk.
        if base.exists() {
            fs::remove_dir_all(&base).with_context(|| format!("cannot remove {}", base.display()))?;
        }
        let prepared = Prepared::unlocked(&options).context("the tests need a PostgreSQL server")?;
        start_watched(&prepared, &base)?;
    }
    let options = PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .username(pg_private::USER)
        .database("postgres");
    Ok(Server { options, _in_use: Some(in_use) })
}

fn start_watched(prepared: &Prepared, base: &Path) -> Result<()> {
    let server = prepared.server_command(true);
    let log = OpenOptions::new().create(true).append(true).open(prepared.log_path())?;
    let mut watcher = Command::new("setsid");
    watcher.args(["sh", "-c", WATCHER, "kt-test-postgres"]);
    watcher.arg(base.with_extension("users")).arg(base);
    watcher.arg(server.get_program()).args(server.get_args());
    watcher.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir("/");
    watcher.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut watcher = watcher.spawn().context("cannot run `setsid` (util-linux)")?;
    let began = Instant::now();
    while !answers(&prepared.socket_dir()) || !is_ready(prepared) {
        if let Some(status) = watcher.try_wait()? {
            let log = fs::read_to_string(prepared.log_path()).unwrap_or_default();
            bail!("the test server ended at once ({status}):\n{log}");
        }
        if began.elapsed() > START_LIMIT {
            bail!(
                "the test server was not ready within {START_LIMIT:?}; see {}",
                prepared.log_path().display()
            );
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(())
}

fn is_ready(prepared: &Prepared) -> bool {
    let text = fs::read_to_string(prepared.data_dir().join("postmaster.pid")).unwrap_or_default();
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    pid.is_some_and(|pid| prepared.is_ready(pid))
}

fn answers(socket_dir: &Path) -> bool {
    UnixStream::connect(socket_dir.join(".s.PGSQL.5432")).is_ok()
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// One server for each user and checkout.
fn base_path() -> PathBuf {
    let checkout = fingerprint(env!("CARGO_MANIFEST_DIR").as_bytes());
    let user = nix::unistd::geteuid();
    std::env::temp_dir().join(format!("kt-test-{user}-{checkout:016x}"))
}

/// FNV-1a: stable across processes and builds, which the standard hasher does not promise.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[expect(clippy::panic, reason = "without its database a test fails, with the reason")]
fn must<T>(done: Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("{error:#}"))
}
