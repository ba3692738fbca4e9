//! How each target of a pack is called, prepared once a pack, and what is known of it, kept over packs.
//!
//! A pack's [`Stations`] are made at its first request. What is known of a target (its [`Lane`]) goes on under the next
//! pack where id and `base_url` are the same; what the next pack does not name is forgotten. A pack that was replaced
//! before its first request leaves no trace.

mod lane;
mod quiet;
mod transport;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Request, Uri};
use metrics::Counter;
use policy_engine::{Endpoint, Engine, KeyState, Target};
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

pub(super) use lane::{Lane, Permit, StreamPermit};
pub(super) use transport::{TlsRoots, Transport};

use super::resolver::check_host;
use crate::activation::live::{ActivePolicy, LivePolicy};
use crate::metrics::timings::{Histogram, timings};

/// The targets of one pack, in file order.
pub(crate) struct Stations(Box<[Station]>);

/// One target, ready to be called.
pub(super) struct Station {
    /// By endpoint, in the order of [`Endpoint::ALL`].
    operations: [Result<Operation, &'static str>; Endpoint::ALL.len()],
    /// The header of the key, and its value where there is one.
    key: Result<(HeaderName, Option<HeaderValue>), &'static str>,
    transport: Arc<Transport>,
    lane: Arc<Lane>,
    attempts: Counter,
    timing: Arc<Histogram>,
}

/// Where one operation of a target is.
pub(super) struct Operation {
    pub(super) uri: Uri,
    /// The same without its host, as HTTP/1.1 writes it, and the host as it is written there.
    path: Uri,
    host: HeaderValue,
}

/// Makes stations, and remembers what the next pack goes on with.
pub(super) struct Targets {
    roots: TlsRoots,
    begun: Instant,
    last: Mutex<Vec<Known>>,
}

/// A target of the newest pack.
struct Known {
    id: String,
    base_url: String,
    lane: Arc<Lane>,
    transport: Arc<Transport>,
}

// === impl Stations ===

impl Stations {
    pub(super) fn get(&self, index: usize) -> Option<&Station> {
        self.0.get(index)
    }

    /// Which breakers are not closed, in file order.
    pub(crate) fn are_open(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(|station| station.lane.is_open())
    }
}

// === impl Station ===

impl Station {
    pub(super) fn operation(&self, endpoint: Endpoint) -> Result<&Operation, &'static str> {
        let operation = self.operations.get(endpoint as usize).map(Result::as_ref);
        operation.unwrap_or(Err(&NO_OPERATION)).map_err(|why| *why)
    }

    pub(super) fn key(&self) -> Result<(&HeaderName, Option<&HeaderValue>), &'static str> {
        self.key.as_ref().map(|(name, value)| (name, value.as_ref())).map_err(|why| *why)
    }

    pub(super) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    pub(super) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// A call begins.
    pub(super) fn count_attempt(&self) {
        self.attempts.increment(1);
    }

    /// How long its response heads take.
    pub(super) fn timing(&self) -> &Histogram {
        &self.timing
    }
}

// === impl Operation ===

impl Operation {
    /// For a connection of HTTP/1.1.
    pub(super) fn write_to_path<B>(&self, request: &mut Request<B>) {
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(HOST, self.host.clone());
    }
}

// === impl Targets ===

impl Targets {
    /// Reads the host's certificate store.
    pub(super) fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        let roots = TlsRoots::load(extra_roots)?;
        Ok(Self { roots, begun: Instant::now(), last: Mutex::default() })
    }

    /// The time that lanes are told, in milliseconds.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn stations<'p>(&self, policy: &'p ActivePolicy, live: &LivePolicy) -> &'p Stations {
        policy.stations.get_or_init(|| self.prepare(&policy.engine, || live.is(policy)))
    }

    /// A pack that is not in force any more takes part in what is known, and changes nothing of it.
    fn prepare(&self, engine: &Engine, is_live: impl Fn() -> bool) -> Stations {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known: Vec<Known> = Vec::new();
        for target in engine.targets() {
            let (id, base_url) = (target.id.to_string(), target.base_url.clone());
            let before = last.iter().find(|known| known.id == id && known.base_url == base_url);
            let lane = before.map_or_else(Default::default, |known| Arc::clone(&known.lane));
            // Targets that are reached alike share a transport, and so connections, over packs as well.
            let alike = known.iter().chain(last.iter()).find(|known| known.transport.fits(target));
            let transport = alike.map(|known| Arc::clone(&known.transport));
            let transport = transport.unwrap_or_else(|| Arc::new(Transport::to(target, &self.roots)));
            known.push(Known { id, base_url, lane, transport });
        }
        // Asked while nobody else prepares: whoever came later has not written yet, or it is not in force.
        let is_live = is_live();
        let names = engine.targets().iter().map(|target| target.id.0.as_str());
        let timings = if is_live { timings().series_of(names) } else { timings().known(names) };
        let each = engine.targets().iter().zip(&known).zip(timings);
        let stations = each.map(|((target, known), timing)| Station {
            operations: Endpoint::ALL.map(|endpoint| operation(target, endpoint)),
            key: key(target),
            transport: Arc::clone(&known.transport),
            lane: Arc::clone(&known.lane),
            attempts: metrics::counter!("kt_gateway_attempts_total", "target" => known.id.clone()),
            timing,
        });
        let stations = Stations(stations.collect());
        if is_live {
            *last = known;
        }
        stations
    }
}

/// How long a client is told to wait for a target, in whole seconds.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

const NO_OPERATION: &str = "its provider does not have this operation";
pub(super) const METADATA: &str = "its address is a cloud metadata address, which is never called";

fn operation(target: &Target, endpoint: Endpoint) -> Result<Operation, &'static str> {
    const NO_URL: &str = "its base_url is not a URL";
    let url = target.url(endpoint).ok_or(NO_OPERATION)?;
    let uri: Uri = url.parse().map_err(|_| NO_URL)?;
    let authority = uri.authority().ok_or(NO_URL)?;
    check_host(authority.host()).map_err(|_| METADATA)?;
    let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let host = match authority.port_u16() {
        Some(port) if port != usual => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    };
    let host = host.try_into().map_err(|_| NO_URL)?;
    let path = uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    Ok(Operation { uri, path, host })
}

fn key(target: &Target) -> Result<(HeaderName, Option<HeaderValue>), &'static str> {
    let name = target.api_key_header.parse().map_err(|_| "its api_key_header is not a header name")?;
    let KeyState::Ready(secret) = target.api_key_value() else { return Ok((name, None)) };
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_| "its key holds characters that a header cannot")?;
    value.set_sensitive(true);
    Ok((name, Some(value)))
}
