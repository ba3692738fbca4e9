//! What a program holds of its private cluster: where to connect, how the server is, and how to stop it.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tokio::sync::{oneshot, watch};

use crate::keeper::{Event, Keeper, Started};
use crate::{Error, Options};

/// A running private cluster. It restarts its server by itself; dropping it stops the server.
#[derive(Debug)]
pub struct Cluster {
    events: mpsc::Sender<Event>,
    state: watch::Receiver<ServerState>,
    socket_dir: PathBuf,
}

/// How the server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerState {
    Starting,
    Running {
        pid: u32,
    },
    /// It died, for this reason, and is started for the `attempt`th time since.
    Restarting {
        attempt: u32,
        reason: String,
    },
    Stopped,
}

// === impl Cluster ===

impl Cluster {
    /// Starts the server and returns when it accepts connections; the first start makes the database.
    ///
    /// # Errors
    /// See [`Error`]: each says what to do.
    pub async fn start(options: &Options) -> Result<Self, Error> {
        let (events, inbox) = mpsc::channel();
        let (state, states) = watch::channel(ServerState::Starting);
        let (started, starting) = oneshot::channel();
        let keeper = Keeper { events: inbox, own: events.clone(), state };
        let options = options.clone();
        std::thread::Builder::new()
            .name("postgres-keeper".into())
            .spawn(move || keeper.run(&options, started))
            .map_err(Error::disk("start the thread that keeps", "postgres"))?;
        // Made before the wait, so that a caller who gives up waiting stops the server as well.
        let mut cluster = Self { events, state: states, socket_dir: PathBuf::new() };
        let Started { socket_dir } = starting.await.map_err(|_| Error::KeeperGone)??;
        cluster.socket_dir = socket_dir;
        Ok(cluster)
    }

    /// The directory of the unix socket; connect as [`crate::USER`].
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The server's state and its changes.
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.state.clone()
    }

    /// The server's pid while it runs.
    pub fn pid(&self) -> Option<u32> {
        match *self.state.borrow() {
            ServerState::Running { pid } => Some(pid),
            _ => None,
        }
    }

    /// Ends all sessions, writes the checkpoint and returns when the process has ended.
    ///
    /// # Errors
    /// The keeping thread had died before.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.events.send(Event::Stop).map_err(|_| Error::KeeperGone)?;
        // The keeper tells `Stopped` last, or drops its end.
        let _ = self.state.wait_for(|state| *state == ServerState::Stopped).await;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // After a stop the keeper is gone, which is what is wanted.
        let _ = self.events.send(Event::Stop);
    }
}
