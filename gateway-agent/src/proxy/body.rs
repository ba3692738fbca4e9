//! Request bodies: read whole within a limit and a deadline, and nothing of them passed on before that.

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

/// A request body and the memory it was granted.
pub(super) struct RequestBody {
    pub(super) bytes: Bytes,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

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

    fn take(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.shares).try_acquire_owned().map_err(|_| {
            self.shed.increment(1);
            Refusal::Overloaded
        })
    }
}

/// Reads the whole body.
pub(super) async fn read(
    mut body: Incoming,
    limits: BodyLimits,
    budget: &BodyBudget,
) -> Result<RequestBody, Refusal> {
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

/// A body of one frame is not copied.
async fn collect(body: &mut Incoming, limit: usize, budget: &BodyBudget) -> Result<RequestBody, Refusal> {
    let mut first = Bytes::new();
    let mut gathered = BytesMut::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    let mut granted = SHARE;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "a request body ended badly");
            Refusal::BodyBroken
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let size = first.len() + gathered.len() + data.len();
        if size > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        while size > granted {
            let more = budget.take()?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
            granted += SHARE;
        }
        if first.is_empty() && gathered.is_empty() {
            first = data;
        } else {
            gathered.extend_from_slice(&std::mem::take(&mut first));
            gathered.extend_from_slice(&data);
        }
    }
    let bytes = if gathered.is_empty() { first } else { gathered.freeze() };
    Ok(RequestBody { bytes, share })
}
