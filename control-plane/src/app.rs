//! Bind, then serve: [`ControlPlane::bind`] takes everything that can be refused (data directory, database, ports),
//! [`Bound::serve`] runs until it is drained and ends things in order: streams, servers, writers, the database.

mod data_dir;
mod database;
mod database_watch;
pub mod run;
mod start_error;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use service_kit::admin_server::{self, AdminRoutes};
use service_kit::clock::Clock;
use service_kit::drain::{self, DrainWatcher};
use service_kit::readiness::{Readiness, ReadinessBlocker};
use tokio::net::TcpListener;

use crate::api::{self, Authenticator};
use crate::delivery::{Hub, board, parcels, presence, reports, sessions};
use crate::metrics;
use crate::operations::{Context, Wake};
use crate::reconcile;
use crate::settings::Settings;
use crate::store::lane::{ATTACHING, Lane};
use crate::store::wakeup;
use database::Database;
pub use start_error::StartError;

/// A control plane that is not there yet.
#[derive(Debug)]
pub struct ControlPlane;

/// A control plane whose ports are taken and whose database answers; nobody is served yet.
#[derive(Debug)]
pub struct Bound {
    settings: Settings,
    grpc: TcpListener,
    admin: TcpListener,
    grpc_address: SocketAddr,
    admin_address: SocketAddr,
    token_path: PathBuf,
    authenticator: Authenticator,
    context: Context,
    database: Database,
    readiness: Readiness,
    starting: ReadinessBlocker,
}

/// What the writers get to finish, after the streams have ended.
const WRITERS_DRAIN: Duration = Duration::from_secs(5);

// === impl ControlPlane ===

impl ControlPlane {
    /// Takes what a control plane needs, in the order in which a refusal is cheapest.
    ///
    /// # Errors
    /// [`StartError`]: one sentence with what to do, and an exit code.
    pub async fn bind(settings: Settings) -> Result<Bound, StartError> {
        let _ = metrics::recorder();
        // The ports first: a second start on one machine is told so before it looks at the database.
        let grpc = listen("--listen", settings.listen).await?;
        let admin = listen("--metrics-listen", settings.metrics_listen).await?;
        data_dir::prepare(&settings.data_dir, nix::unistd::geteuid().is_root())?;
        // Before anybody is served: whoever sees the port can read the token.
        let (token_path, operator) = data_dir::operator_token(&settings.data_dir)?;
        let database = Database::start(&settings).await?;
        let store = database.open().await?;
        let context = Context { store: store.clone(), clock: Clock::system(), wake: Wake::new() };
        let readiness = Readiness::new();
        let starting = readiness.block("start");
        Ok(Bound {
            grpc_address: grpc
                .local_addr()
                .map_err(|source| StartError::listen("--listen", settings.listen, source))?,
            admin_address: admin
                .local_addr()
                .map_err(|source| StartError::listen("--metrics-listen", settings.metrics_listen, source))?,
            grpc,
            admin,
            token_path,
            authenticator: Authenticator::new(operator, store),
            context,
            database,
            readiness,
            starting,
            settings,
        })
    }
}

// === impl Bound ===

impl Bound {
    /// Where gRPC is served.
    pub const fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where health, readiness and metrics are served.
    pub const fn metrics_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The file of the operator's token.
    pub fn operator_token_path(&self) -> &Path {
        &self.token_path
    }

    /// Serves until `drain` starts or gRPC fails, then ends in order and within fixed times.
    ///
    /// # Errors
    /// [`StartError::Serve`] when gRPC ended without being asked.
    pub async fn serve(self, drain: DrainWatcher) -> Result<(), StartError> {
        let _serving = drain.hold("control plane");
        let patience = self.settings.timings.drain;
        // Three drains, one after the other: what peers see, what writes for them, and the probes.
        let (streams, streams_drain) = drain::channel();
        let (writers, writers_drain) = drain::channel();
        let (probes, probes_drain) = drain::channel();
        let hub = self.spawn_writers(&streams_drain, &writers_drain);
        let routes = AdminRoutes {
            readiness: self.readiness.clone(),
            metrics: metrics::recorder().map(|handle| Arc::new(|| handle.render()) as _),
        };
        probes_drain.spawn("admin server", admin_server::serve(self.admin, routes, probes_drain.clone()));
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut server = streams_drain
            .spawn("gRPC server", api::serve(self.grpc, hub, self.authenticator, health_service));
        drop(self.starting);
        tracing::info!(grpc = %self.grpc_address, metrics = %self.admin_address, "serving");

        let ended_early = tokio::select! {
            () = drain.signaled() => None,
            ended = &mut server => Some(ended),
        };
        let _draining = self.readiness.block("draining");
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        streams.start();
        if let Err(busy) = streams.drained(patience).await {
            tracing::warn!(%busy, "streams are cut off");
            server.abort();
        }
        writers.start();
        if let Err(busy) = writers.drained(WRITERS_DRAIN).await {
            tracing::warn!(%busy, "writers are cut off");
        }
        if tokio::time::timeout(WRITERS_DRAIN, self.context.store.close()).await.is_err() {
            tracing::warn!("statements are cut off");
        }
        self.database.stop().await;
        probes.start();
        if let Err(busy) = probes.drained(patience).await {
            tracing::debug!(%busy, "probes are cut off");
        }
        match ended_early {
            None => Ok(()),
            Some(Ok(Ok(()))) => Err(StartError::Ended),
            Some(Ok(Err(error))) => Err(StartError::Serve(error)),
            Some(Err(_)) => Err(StartError::Ended),
        }
    }

    /// Starts the tasks that write for all streams and that decide, and answers what the streams share.
    fn spawn_writers(&self, streams: &DrainWatcher, writers: &DrainWatcher) -> Arc<Hub> {
        let context = &self.context;
        let board = Arc::new(board::Board::default());
        let presence = Arc::new(presence::Presence::default());
        let (reports, inbox) = reports::channel();
        let store = context.store.clone();
        let wake = context.wake.clone();
        writers.spawn("wake-ups", wakeup::listen(store.clone(), wake.clone(), writers.clone()));
        let parcels = Arc::new(parcels::Parcels::new(store.clone()));
        let filling =
            board::run(board.clone(), parcels.clone(), store.clone(), wake.listen(), writers.clone());
        writers.spawn("board", filling);
        writers.spawn("presence", presence::run(presence.clone(), context.clone(), writers.clone()));
        writers.spawn("reports", reports::run(inbox, context.clone(), writers.clone()));
        writers.spawn("rollouts", reconcile::driver::run(context.clone(), writers.clone()));
        let readiness = self.readiness.clone();
        writers.spawn("database watch", database_watch::run(context.clone(), readiness, writers.clone()));
        writers.spawn("expiry", reconcile::expire::run(context.clone(), writers.clone()));
        if let Some(handle) = metrics::recorder() {
            writers.spawn("metrics upkeep", metrics::upkeep(handle, writers.clone()));
        }
        Arc::new(Hub {
            context: context.clone(),
            timings: self.settings.timings,
            board,
            parcels,
            agents: self.authenticator.agents(),
            attaching: Lane::new(ATTACHING),
            presence,
            reports,
            sessions: sessions::Sessions::new(),
            drain: streams.clone(),
        })
    }
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::listen(flag, address, source))
}
