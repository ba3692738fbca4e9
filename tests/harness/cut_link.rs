//! A link that a test can cut: a relay on port 0 in front of an address, which passes, refuses, resets, stalls or
//! forgets connections, and passes again.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use service_kit::drain::{self, DrainTrigger, DrainWatcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::sync::watch;

use crate::postgres::TestDatabase;

/// Where a link leads.
#[derive(Debug, Clone)]
pub enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Dropping it ends every connection.
#[derive(Debug)]
pub struct CutLink {
    pub address: SocketAddr,
    target: watch::Sender<Target>,
    state: watch::Sender<State>,
    connections: Arc<AtomicU64>,
    _trigger: DrainTrigger,
}

/// Which bytes move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stalled {
    Both,
    /// From whoever connected.
    Requests,
    /// To whoever connected.
    Answers,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Whether somebody listens.
    listening: bool,
    stalled: Option<Stalled>,
    /// Connections with a lower number are reset.
    reset_below: u64,
    /// Connections with a lower number move no byte any more, and nobody tells their ends.
    lost_below: u64,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Requests,
    Answers,
}

// === impl CutLink ===

impl CutLink {
    /// A link that passes.
    pub async fn to(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State { listening: true, stalled: None, reset_below: 0, lost_below: 0 };
        let (trigger, watcher) = drain::channel();
        let (state, connections) = (watch::Sender::new(state), Arc::<AtomicU64>::default());
        let target = watch::Sender::new(target);
        let relay = Relay {
            target: target.subscribe(),
            state: state.subscribe(),
            connections: connections.clone(),
            watcher: watcher.clone(),
        };
        watcher.spawn("link", relay.listen(listener, address));
        Self { address, target, state, connections, _trigger: trigger }
    }

    /// To the server of a test's database, and the URL of that database over the link.
    pub async fn to_database(database: &TestDatabase) -> (Self, String) {
        let options = &database.options;
        let name = options.get_database().expect("a test's database has a name");
        let target = match options.get_socket() {
            Some(dir) => Target::Unix(dir.join(format!(".s.PGSQL.{}", options.get_port()))),
            None if options.get_host().starts_with('/') => {
                Target::Unix(PathBuf::from(format!("{}/.s.PGSQL.{}", options.get_host(), options.get_port())))
            }
            None => {
                let mut found = tokio::net::lookup_host((options.get_host(), options.get_port()))
                    .await
                    .expect("the server has an address");
                Target::Tcp(found.next().expect("the server has an address"))
            }
        };
        let link = Self::to(target).await;
        // The password, if there is one, is only in the URL.
        let (_, rest) = database.url.split_once("://").expect("a URL");
        let user = match rest.split_once('@') {
            Some((user, _)) => user.to_owned(),
            None => options.get_username().to_owned(),
        };
        let url = format!("postgres://{user}@{}/{name}?sslmode=disable", link.address);
        (link, url)
    }

    /// Every connection is reset, and new ones lead there.
    pub fn lead_to(&self, target: Target) {
        self.target.send_replace(target);
        self.reset();
    }

    /// Everything passes; a port that was closed is open again.
    pub fn pass(&self) {
        self.change(|state| {
            state.listening = true;
            state.stalled = None;
        });
    }

    /// Nobody listens any more, and every connection is reset.
    pub fn cut(&self) {
        self.refuse();
        self.reset();
    }

    /// Nobody listens any more; who is connected stays so.
    pub fn refuse(&self) {
        self.change(|state| state.listening = false);
    }

    /// Every connection is reset; new ones pass.
    pub fn reset(&self) {
        let next = self.connections.load(Ordering::SeqCst);
        self.change(|state| state.reset_below = next);
    }

    /// Connections stay and are taken, but no byte moves on these ways.
    pub fn stall(&self, stalled: Stalled) {
        self.change(|state| state.stalled = Some(stalled));
    }

    /// Every connection is dead from now on without a word to its ends, as after a router forgot it; new ones pass.
    pub fn lose(&self) {
        let next = self.connections.load(Ordering::SeqCst);
        self.change(|state| state.lost_below = next);
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }
}

/// What each task of a link holds.
#[derive(Clone)]
struct Relay {
    target: watch::Receiver<Target>,
    state: watch::Receiver<State>,
    /// Numbers them.
    connections: Arc<AtomicU64>,
    watcher: DrainWatcher,
}

// === impl Relay ===

impl Relay {
    async fn listen(mut self, first: TcpListener, address: SocketAddr) {
        let mut listener = Some(first);
        loop {
            if !self.state.borrow_and_update().listening {
                listener = None;
            } else if listener.is_none() {
                listener = Some(bind_again(address).expect("the port is still ours"));
            }
            let accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.watcher.signaled() => return,
                changed = self.state.changed() => if changed.is_err() { return },
                accepted = accepted => if let Ok((stream, _)) = accepted {
                    let number = self.connections.fetch_add(1, Ordering::SeqCst);
                    self.watcher.spawn("connection", self.clone().connection(stream, number));
                }
            }
        }
    }

    async fn connection(mut self, stream: TcpStream, number: u64) {
        let _ = stream.set_nodelay(true);
        // Closed by a reset, whatever ends it: a test that wants an orderly end stops its program.
        let _ = stream.set_zero_linger();
        let relayed = self.clone().relay(stream, number);
        tokio::select! {
            () = self.watcher.signaled() => {}
            _ = self.state.wait_for(|state| number < state.reset_below) => {}
            _ = relayed => {}
        }
    }

    async fn relay(self, near: TcpStream, number: u64) -> io::Result<()> {
        let target = self.target.borrow().clone();
        match target {
            Target::Tcp(address) => {
                let far = TcpStream::connect(address).await?;
                far.set_nodelay(true)?;
                let (read, write) = far.into_split();
                self.both_ways(near, read, write, number).await
            }
            Target::Unix(path) => {
                let (read, write) = UnixStream::connect(path).await?.into_split();
                self.both_ways(near, read, write, number).await
            }
        }
    }

    async fn both_ways(
        &self,
        near: TcpStream,
        far_read: impl AsyncRead + Unpin,
        far_write: impl AsyncWrite + Unpin,
        number: u64,
    ) -> io::Result<()> {
        let (near_read, near_write) = near.into_split();
        // Either end closes both: neither program lives on half a connection.
        tokio::select! {
            ended = self.one_way(near_read, far_write, Way::Requests, number) => ended,
            ended = self.one_way(far_read, near_write, Way::Answers, number) => ended,
        }
    }

    async fn one_way(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        way: Way,
        number: u64,
    ) -> io::Result<()> {
        let mut state = self.state.clone();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            self.until_passing(&mut state, way, number).await;
            let read = from.read(&mut buffer).await?;
            // What was read while the link passed does not arrive once it does not.
            self.until_passing(&mut state, way, number).await;
            if read == 0 {
                return Ok(());
            }
            to.write_all(&buffer[..read]).await?;
            to.flush().await?;
        }
    }

    async fn until_passing(&self, state: &mut watch::Receiver<State>, way: Way, number: u64) {
        let passes = |state: &State| {
            let stalled = match state.stalled {
                None => false,
                Some(Stalled::Both) => true,
                Some(Stalled::Requests) => matches!(way, Way::Requests),
                Some(Stalled::Answers) => matches!(way, Way::Answers),
            };
            !stalled && number >= state.lost_below
        };
        if state.wait_for(passes).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}
