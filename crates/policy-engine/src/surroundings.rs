//! What a gateway lends the policies for one request beside its body: who asks, and the time that runs. The engine
//! itself has no clock and keeps nothing.

use std::net::IpAddr;
use std::time::Duration;

use crate::meters::Meters;

/// Handed in with each body. Everything in it may be asked any number of times.
pub trait Surroundings: Send + Sync {
    /// A header of the client by its lower-case name; `None` if it is absent, repeated or no text.
    fn header(&self, name: &str) -> Option<&str>;

    /// Who really connected, whatever the request says.
    fn address(&self) -> Option<IpAddr>;

    /// Monotonic time since some moment.
    fn now(&self) -> Duration;

    /// What the calling thread has used of the processor.
    fn cpu(&self) -> Duration;

    /// The counters of the gateway; without any, no limit is ever reached.
    fn meters(&self) -> Option<&dyn Meters> {
        None
    }
}

/// Nobody asks and no time runs: for cases, self-tests and lint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

// === impl Nowhere ===

impl Surroundings for Nowhere {
    fn header(&self, _: &str) -> Option<&str> {
        None
    }

    fn address(&self) -> Option<IpAddr> {
        None
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn cpu(&self) -> Duration {
        Duration::ZERO
    }
}
