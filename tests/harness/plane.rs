//! A control plane in this process, on a database of its own, that can be stopped and started again on the same
//! ports.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use control_plane::settings::{Database, DatabaseUrl, Timings};
use control_plane::store::migrate::MIGRATOR;
use control_plane::{ControlPlane, Settings, StartError};
use service_kit::drain::{self, DrainTrigger};
use tokio::task::JoinHandle;

use crate::cut_link::CutLink;
use crate::operator::Operator;
use crate::postgres::{TestDatabase, database};

/// A control plane; dropping it drains it.
pub struct Plane {
    pub admin_url: String,
    pub database: Arc<TestDatabase>,
    settings: Settings,
    calls: Operator,
    running: Option<Running>,
    dir: tempfile::TempDir,
}

struct Running {
    trigger: DrainTrigger,
    served: JoinHandle<Result<(), StartError>>,
}

/// Long enough for a loaded machine, short enough to notice.
pub const PATIENCE: Duration = Duration::from_secs(20);

// === impl Plane ===

impl Plane {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Timings)) -> Self {
        let database = database(&MIGRATOR).await;
        let url = database.url.clone();
        Self::start_on(Arc::new(database), &url, change).await
    }

    /// One whose database is behind a link that can be cut; `plane.database` is not.
    pub async fn start_cut_off(change: impl FnOnce(&mut Timings)) -> (Self, CutLink) {
        let database = database(&MIGRATOR).await;
        let (link, url) = CutLink::to_database(&database).await;
        (Self::start_on(Arc::new(database), &url, change).await, link)
    }

    /// One on a database that others use as well, reached by this URL.
    pub async fn start_on(database: Arc<TestDatabase>, url: &str, change: impl FnOnce(&mut Timings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut timings = Timings { drain: Duration::from_secs(3), ..Timings::default() };
        change(&mut timings);
        let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            data_dir: dir.path().join("data"),
            listen: any_port,
            metrics_listen: any_port,
            database: Database::Disposable(DatabaseUrl::new(url.as_ref()).unwrap()),
            timings,
        };
        let mut plane = Self {
            admin_url: String::new(),
            database,
            settings,
            calls: Operator::new(String::new(), String::new()),
            running: None,
            dir,
        };
        plane.start_again().await;
        plane
    }

    /// Starts it, after a stop on the ports it had.
    pub async fn start_again(&mut self) {
        let bound = ControlPlane::bind(self.settings.clone()).await.unwrap();
        self.settings.listen = bound.grpc_address();
        self.settings.metrics_listen = bound.metrics_address();
        self.admin_url = format!("http://{}", bound.metrics_address());
        let token = std::fs::read_to_string(bound.operator_token_path()).unwrap();
        self.calls = Operator::new(format!("http://{}", bound.grpc_address()), token);
        let (trigger, watcher) = drain::channel();
        let served = watcher.clone().spawn("control plane under test", bound.serve(watcher));
        self.running = Some(Running { trigger, served });
    }

    /// Begins the end without waiting for it.
    pub fn drain(&self) {
        if let Some(running) = &self.running {
            running.trigger.start();
        }
    }

    /// Drains and waits; the control plane must end within its own times.
    pub async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.trigger.start();
        let ended = tokio::time::timeout(PATIENCE, running.served).await.expect("ends in time");
        ended.expect("does not panic").expect("ends without an error");
    }

    /// As [`Self::stop`], for good.
    pub async fn end(mut self) {
        self.stop().await;
    }

    /// A copy of the database as it is now.
    pub async fn backup(&self) -> TestDatabase {
        self.database.copy().await
    }

    /// Puts another database in the place of its own, for the next start.
    pub fn restore(&mut self, database: TestDatabase) {
        let database = Arc::new(database);
        self.settings.database = Database::Disposable(DatabaseUrl::new(database.url.as_ref()).unwrap());
        self.database = database;
    }

    /// The file with the operator's token.
    pub fn token_file(&self) -> std::path::PathBuf {
        self.dir.path().join("data/operator.token")
    }
}

impl Deref for Plane {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.calls
    }
}
