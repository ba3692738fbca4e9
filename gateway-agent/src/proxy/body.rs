//! Request bodies: read whole within a limit and a deadline, and nothing of them passed on before that; and the memory
//! that bodies of both ways may take.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, EXPECT};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use metrics::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reply::Refusal;

/// How much of a refused body is read and thrown away, so that its sender reads the refusal and not
/// a reset connection.
const DISCARD: usize = 64 * 1024 * 1024;
const DISCARD_FOR: Duration = Duration::from_secs(1);

/// Bodies of requests without a place that are thrown away at the same time; the senders of any beyond may read a reset
/// connection.
const FAREWELLS: usize = 256;

/// Memory that large bodies may take together; each takes its share as it arrives.
#[derive(Clone)]
pub(super) struct BodyBudget {
    farewells: Arc<Semaphore>,
    pub(super) shares: Arc<Semaphore>,
    shed: Counter,
}

/// A body as it gathers; one of a single piece is not copied.
pub(super) struct Gathering<'a> {
    budget: &'a BodyBudget,
    first: Bytes,
    rest: BytesMut,
    share: Option<OwnedSemaphorePermit>,
    granted: usize,
}

/// Bytes and the memory they were granted, given back with the last of them.
struct Granted {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

/// All memory for large bodies is taken.
#[derive(Debug)]
pub(super) struct NoRoom;

/// What one body may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) size: usize,
    pub(super) within: Duration,
    /// The client sends nothing before it is told to (`expect: 100-continue`).
    pub(super) waits: bool,
}

/// Memory is granted in pieces of this many bytes; the first of them is free.
const SHARE: usize = 64 * 1024;

// === impl BodyBudget ===

impl BodyBudget {
    pub(super) fn new(bytes: usize) -> Self {
        let shares = Arc::new(Semaphore::new((bytes / SHARE).min(Semaphore::MAX_PERMITS)));
        let farewells = Arc::new(Semaphore::new(FAREWELLS));
        Self { farewells, shares, shed: crate::metrics::shed("body_memory") }
    }

    /// Throws away the body of a request that is not even among those in flight, which nothing else bounds.
    pub(super) async fn turn_away(&self, body: Incoming) {
        if let Ok(_farewell) = self.farewells.try_acquire() {
            discard(body).await;
        }
    }

    fn take(&self) -> Result<OwnedSemaphorePermit, NoRoom> {
        Arc::clone(&self.shares).try_acquire_owned().map_err(|_| {
            self.shed.increment(1);
            NoRoom
        })
    }
}

/// Reads the whole body.
pub(super) async fn read(
    mut body: Incoming,
    limits: BodyLimits,
    budget: &BodyBudget,
) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limits.size as u64 {
        if !limits.waits {
            discard(body).await;
        }
        return Err(Refusal::BodyTooLarge { limit: limits.size });
    }
    match tokio::time::timeout(limits.within, collect(&mut body, limits.size, budget)).await {
        Ok(Err(refusal @ (Refusal::BodyTooLarge { .. } | Refusal::Overloaded))) => {
            discard(body).await;
            Err(refusal)
        }
        Ok(read) => read,
        Err(_) => {
            discard(body).await;
            Err(Refusal::BodyTimeout)
        }
    }
}

/// What a body claims about its encoding and about us, checked before a byte of it is read.
pub(super) fn check_head(headers: &HeaderMap) -> Result<(), Refusal> {
    let identity =
        |value: &http::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return Err(Refusal::Encoding);
    }
    let continues = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(EXPECT).iter().all(continues) {
        return Err(Refusal::Expectation);
    }
    Ok(())
}

/// Throws away what the client is still sending, for a moment.
pub(super) async fn discard(mut body: Incoming) {
    let reading = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > DISCARD {
                return;
            }
        }
    };
    // Late or early, the answer is the same.
    let _ = tokio::time::timeout(DISCARD_FOR, reading).await;
}

async fn collect(body: &mut Incoming, limit: usize, budget: &BodyBudget) -> Result<Bytes, Refusal> {
    let mut gathering = Gathering::under(budget);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "a request body ended badly");
            Refusal::BodyBroken
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if gathering.len() + data.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        gathering.push(data).map_err(|NoRoom| Refusal::Overloaded)?;
    }
    Ok(gathering.whole())
}

// === impl Gathering ===

impl<'a> Gathering<'a> {
    pub(super) fn under(budget: &'a BodyBudget) -> Self {
        Self { budget, first: Bytes::new(), rest: BytesMut::new(), share: None, granted: SHARE }
    }

    pub(super) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    pub(super) fn push(&mut self, data: Bytes) -> Result<(), NoRoom> {
        while self.len() + data.len() > self.granted {
            let more = self.budget.take()?;
            match &mut self.share {
                Some(share) => share.merge(more),
                None => self.share = Some(more),
            }
            self.granted += SHARE;
        }
        if self.len() == 0 {
            self.first = data;
        } else {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
            self.rest.extend_from_slice(&data);
        }
        Ok(())
    }

    pub(super) fn whole(self) -> Bytes {
        let bytes = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        match self.share {
            Some(share) => Bytes::from_owner(Granted { bytes, _share: share }),
            None => bytes,
        }
    }
}

// === impl Granted ===

impl AsRef<[u8]> for Granted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
