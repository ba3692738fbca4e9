//! `supervisor.sock`: hears one ask a connection, hands it to the owner, and says the owner's answer.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::time::Duration;

use instance::door::{may_order, peer};
use service_kit::drain::{DrainWatcher, hangups, run_until_signal};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::protocol::{Answer, Ask};
use super::supervision::Supervision;
use crate::failure::{Exit, Failure};

/// Whoever connects asks at once.
const ASK_LIMIT: Duration = Duration::from_secs(5);
const LONGEST_ASK: u64 = 64 * 1024;
/// More wait for their turn in the socket.
const QUEUE: usize = 16;

/// What the owner is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Asked(Asked),
    /// SIGHUP, which is the gateway's.
    Hangup,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ask: Ask,
    /// As the history names it.
    pub(super) actor: String,
    /// `None`: a signal, which hears nothing.
    pub(super) answer: Option<oneshot::Sender<Answer>>,
}

/// Listens from now on, to the socket and to signals.
pub(super) fn open(
    listener: StdListener,
    standing: watch::Receiver<Supervision>,
    drain: &DrainWatcher,
) -> io::Result<mpsc::Receiver<Order>> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let (orders, received) = mpsc::channel(QUEUE);
    drain.spawn("supervisor signals", signals(orders.clone(), drain.clone()));
    drain.spawn("supervisor door", accept(listener, standing, orders, drain.clone()));
    Ok(received)
}

async fn signals(orders: mpsc::Sender<Order>, drain: DrainWatcher) {
    let mut hangups = hangups();
    let end = run_until_signal();
    tokio::pin!(end);
    loop {
        let order = tokio::select! {
            () = drain.signaled() => return,
            signal = &mut end => {
                let asked = Asked { ask: Ask::Stop, actor: signal.to_string(), answer: None };
                // The owner is ending already.
                let _ = orders.send(Order::Asked(asked)).await;
                return;
            }
            () = hangups.recv() => Order::Hangup,
        };
        if orders.send(order).await.is_err() {
            return;
        }
    }
}

async fn accept(
    listener: UnixListener,
    standing: watch::Receiver<Supervision>,
    orders: mpsc::Sender<Order>,
    drain: DrainWatcher,
) {
    loop {
        let accepted = tokio::select! {
            () = drain.signaled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                drop(drain.spawn("supervisor call", hear(stream, standing.clone(), orders.clone())));
            }
            // No descriptor is free; one will be.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn hear(stream: UnixStream, standing: watch::Receiver<Supervision>, orders: mpsc::Sender<Order>) {
    let Ok(peer) = peer(&stream) else { return };
    let (read, mut write) = stream.into_split();
    let answer = if may_order(peer) {
        let mut line = String::new();
        let mut read = BufReader::new(read.take(LONGEST_ASK));
        let Ok(Ok(1..)) = tokio::time::timeout(ASK_LIMIT, read.read_line(&mut line)).await else { return };
        match serde_json::from_str(&line) {
            Ok(Ask::Status) => Answer::Supervises(standing.borrow().clone()),
            Ok(ask) => {
                let (answer, answered) = oneshot::channel();
                let asked = Asked { ask, actor: instance::place::user_name(peer.uid), answer: Some(answer) };
                if orders.send(Order::Asked(asked)).await.is_err() {
                    return;
                }
                // An owner that ended meanwhile says nothing: the caller looks again.
                let Ok(answer) = answered.await else { return };
                answer
            }
            Err(error) => {
                let message = format!("the supervisor does not understand: {error}");
                Answer::of(&Failure::new(Exit::Usage, "invalid_argument", message))
            }
        }
    } else {
        Answer::of(&Failure::new(Exit::Forbidden, "not_yours", "this supervisor is another user's"))
    };
    if let Ok(mut line) = serde_json::to_vec(&answer) {
        line.push(b'\n');
        // Who has gone hears nothing, and what was asked for is done all the same.
        let _ = write.write_all(&line).await;
    }
}
