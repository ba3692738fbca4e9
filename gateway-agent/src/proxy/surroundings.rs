//! What the policies may know of a request beside its body.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use nix::time::{ClockId, clock_gettime};
use policy_engine::{Meters, Surroundings};
use tokio::time::Instant;

use super::meters::GatewayMeters;

/// One request's client, and the clocks of this host.
pub(super) struct RequestSurroundings {
    headers: HeaderMap,
    peer: IpAddr,
    begun: Instant,
    meters: Arc<GatewayMeters>,
}

// === impl RequestSurroundings ===

impl RequestSurroundings {
    pub(super) fn of(headers: HeaderMap, peer: IpAddr, meters: &Arc<GatewayMeters>) -> Arc<Self> {
        Arc::new(Self { headers, peer, begun: Instant::now(), meters: Arc::clone(meters) })
    }

    /// All headers of the client.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Surroundings for RequestSurroundings {
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        if values.next().is_some() { None } else { value.to_str().ok() }
    }

    fn address(&self) -> Option<IpAddr> {
        Some(self.peer)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn cpu(&self) -> Duration {
        // A clock that every kernel we run on has; without it no budget is ever used up.
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
    }

    fn meters(&self) -> Option<&dyn Meters> {
        Some(self.meters.as_ref())
    }
}
