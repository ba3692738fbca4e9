//! Request bodies: read whole within a limit and a deadline, and nothing of them passed on before that.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, EXPECT};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::reply::Refusal;

/// How much of a refused body is read and thrown away, so that its sender reads the refusal and not
/// a reset connection.
const DISCARD: usize = 64 * 1024 * 1024;
const DISCARD_FOR: Duration = Duration::from_secs(1);

/// Reads the whole body. `waits`: the client sends nothing before it is told to (`expect: 100-continue`).
pub(super) async fn read(
    mut body: Incoming,
    limit: usize,
    within: Duration,
    waits: bool,
) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        if !waits {
            discard(body).await;
        }
        return Err(Refusal::BodyTooLarge { limit });
    }
    match tokio::time::timeout(within, collect(&mut body, limit)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            discard(body).await;
            Err(Refusal::BodyTooLarge { limit })
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a request body ended badly");
            Err(Refusal::BodyBroken)
        }
        Err(_) => Err(Refusal::BodyTimeout),
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

/// `None` when the body is over the limit. A body of one frame is not copied.
async fn collect(body: &mut Incoming, limit: usize) -> Result<Option<Bytes>, hyper::Error> {
    let mut first = Bytes::new();
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len() + gathered.len() + data.len() > limit {
            return Ok(None);
        }
        if first.is_empty() && gathered.is_empty() {
            first = data;
        } else {
            gathered.extend_from_slice(&std::mem::take(&mut first));
            gathered.extend_from_slice(&data);
        }
    }
    Ok(Some(if gathered.is_empty() { first } else { gathered.freeze() }))
}
