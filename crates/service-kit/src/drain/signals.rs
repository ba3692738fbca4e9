//! The signals that begin a drain or a reload, as futures. A signal that cannot be listened to is logged
//! and then never arrives: the program still serves, and still ends by SIGKILL.

use std::fmt;
use std::future::pending;
use std::task::{Context, Poll};

use tokio::signal::unix::{self, SignalKind};

/// Which signal asked the program to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    Terminate,
    Interrupt,
}

/// Every SIGHUP since it was made; several that arrive before one is taken count as one.
#[derive(Debug)]
pub struct Hangups {
    signal: Option<unix::Signal>,
}

/// Waits for SIGTERM or SIGINT. From its first poll on, neither ends the process by itself.
pub async fn run_until_signal() -> Signal {
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM");
    let mut interrupt = listen(SignalKind::interrupt(), "SIGINT");
    tokio::select! {
        () = next(&mut terminate) => Signal::Terminate,
        () = next(&mut interrupt) => Signal::Interrupt,
    }
}

/// Waits for SIGTERM alone, for a program that another one watches over. From its first poll on, a SIGINT that a terminal
/// sends to all of its programs does nothing.
pub async fn run_until_terminated() -> Signal {
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM");
    let _unheard = listen(SignalKind::interrupt(), "SIGINT");
    next(&mut terminate).await;
    Signal::Terminate
}

/// Listens to SIGHUP, which no longer ends the process. Needs a tokio runtime.
pub fn hangups() -> Hangups {
    Hangups { signal: listen(SignalKind::hangup(), "SIGHUP") }
}

// === impl Signal ===

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

// === impl Hangups ===

impl Hangups {
    /// Waits for the next SIGHUP. May be dropped in a `select!` without losing one.
    pub async fn recv(&mut self) {
        next(&mut self.signal).await;
    }
}

impl futures_util::Stream for Hangups {
    type Item = ();

    fn poll_next(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<()>> {
        self.signal.as_mut().map_or(Poll::Pending, |signal| signal.poll_recv(context))
    }
}

fn listen(kind: SignalKind, name: &'static str) -> Option<unix::Signal> {
    unix::signal(kind)
        .inspect_err(|error| tracing::error!(signal = name, %error, "cannot listen to a signal"))
        .ok()
}

async fn next(signal: &mut Option<unix::Signal>) {
    let arrived = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if arrived.is_none() {
        pending::<()>().await;
    }
}
