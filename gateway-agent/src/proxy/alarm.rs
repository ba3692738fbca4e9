//! A timer for deadlines that move.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

/// Wakes its task at a deadline. One that moves away leaves the timer as it is: it wakes early, and is wound up anew. So
/// what is put off with every request touches the runtime's timers once in a long while.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

// === impl Alarm ===

impl Alarm {
    /// Ready once it is `at`.
    pub(super) fn poll(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        ready!(sleep.as_mut().poll(context));
        while Instant::now() < at {
            sleep.as_mut().reset(at);
            ready!(sleep.as_mut().poll(context));
        }
        Poll::Ready(())
    }
}
