//! When a client connection is to end that would go on: at a drain, after a long rest, and when its client takes nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use service_kit::drain::DrainWatcher;
use tokio::time::Instant;

use super::accept::Connection;
use super::alarm::Alarm;
use super::patience::Activity;
use super::taking::Taking;
use super::{Heir, ProxyTimeouts};

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Once: to tell its client that it ends, and to finish what is being served.
    Leave,
    /// To close it as it is.
    Cut,
}

/// The course of one connection to its end.
pub(super) struct Ending {
    drain: DrainWatcher,
    activity: Activity,
    taking: Taking,
    idle: Duration,
    stall: Duration,
    /// Until idle HTTP/1 connections have had their last chance; `None` when they had.
    last_chance: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The drain wakes this task: it need not be asked, with a lock, at every packet.
    is_enlisted: bool,
    is_leaving: bool,
    rest: Rest,
    overdue: Alarm,
}

/// Since when nothing happens over HTTP/2. Pings are nothing.
#[derive(Default)]
struct Rest {
    begun: usize,
    taken: usize,
    until: Option<Instant>,
    alarm: Alarm,
}

/// Bytes that count as an answer on its way. Acknowledgements of pings and settings come to less.
const SOMETHING: usize = 4096;

// === impl Ending ===

impl Ending {
    pub(super) fn of(connection: &Connection, heir: Heir, timeouts: &ProxyTimeouts) -> Self {
        let (idle, drain_idle) = (timeouts.idle, timeouts.drain_idle);
        let drain = connection.drain.clone();
        Self {
            activity: connection.activity.clone(),
            taking: connection.taking.clone(),
            idle,
            stall: timeouts.write_stall,
            last_chance: Some(Box::pin(idle_after_drain(drain.clone(), heir, idle, drain_idle))),
            drain,
            is_enlisted: false,
            is_leaving: false,
            rest: Rest::default(),
            overdue: Alarm::default(),
        }
    }

    /// To be asked whenever the connection has been driven.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if self.taking.poll_overdue(&mut self.overdue, context).is_ready() {
            return Poll::Ready(Step::Cut);
        }
        let had_its_chance = self.poll_drain(context).is_ready();
        if !self.activity.is_http2() {
            return if had_its_chance { self.leave() } else { Poll::Pending };
        }
        // Nobody is cut by being told: what comes until the client has heard of it is served.
        if self.drain.is_draining() && !self.is_leaving {
            return self.leave();
        }
        let rest = if self.is_leaving { self.stall } else { self.idle };
        match self.rest.poll(rest, &self.activity, context) {
            Poll::Ready(()) if self.is_leaving => Poll::Ready(Step::Cut),
            Poll::Ready(()) => self.leave(),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_enlisted && !self.drain.is_draining() {
            return Poll::Pending;
        }
        self.is_enlisted = true;
        let Some(last_chance) = &mut self.last_chance else { return Poll::Ready(()) };
        if last_chance.as_mut().poll(context).is_ready() {
            self.last_chance = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn leave(&mut self) -> Poll<Step> {
        if self.is_leaving {
            return Poll::Pending;
        }
        self.is_leaving = true;
        self.rest.until = None;
        Poll::Ready(Step::Leave)
    }
}

// === impl Rest ===

impl Rest {
    /// Ready when nothing has happened for that long.
    fn poll(&mut self, rest: Duration, activity: &Activity, context: &mut Context<'_>) -> Poll<()> {
        let (begun, taken) = (activity.begun(), activity.taken());
        let is_busy =
            activity.is_serving() || begun != self.begun || taken.wrapping_sub(self.taken) >= SOMETHING;
        if is_busy {
            (self.begun, self.taken, self.until) = (begun, taken, None);
        }
        loop {
            let until = *self.until.get_or_insert_with(|| Instant::now() + rest);
            if self.alarm.poll(until, context).is_pending() {
                return Poll::Pending;
            }
            if !activity.is_serving() {
                return Poll::Ready(());
            }
            self.until = None;
        }
    }
}

/// Until the drain has begun and idle connections have had their last chance. Requests of that time
/// are answered with `connection: close`.
///
/// A client may send at the moment in which its idle connection is closed, and is cut then. Where another process
/// serves, nobody waits for this one, and it has as long as it ever has.
async fn idle_after_drain(drain: DrainWatcher, heir: Heir, idle: Duration, drain_idle: Duration) {
    drain.signaled().await;
    tokio::select! {
        () = heir.gone() => {}
        () = tokio::time::sleep(idle) => {}
    }
    tokio::time::sleep(drain_idle).await;
}
