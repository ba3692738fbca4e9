//! What a request asks to be changed: its body, read within limits, and what of it is valid.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use instance::documents::{ReloadRequest, RevertRequest, UnpinRequest};
use serde::de::DeserializeOwned;

use super::Route;
use super::errors::{self, Refusal};

/// A valid request to change something.
#[derive(Debug)]
pub(super) enum Order {
    Reload(ReloadRequest),
    Revert(RevertRequest),
    Unpin(UnpinRequest),
}

const LARGEST_BODY: usize = 64 * 1024;
/// So much of a refused body is read and thrown away, so that its sender reads the refusal.
const DISCARD: usize = 64 * 1024 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_REASON: usize = 1000;

// === impl Order ===

impl Order {
    pub(super) fn parse(route: Route, body: &[u8]) -> Result<Self, Refusal> {
        let (order, reason) = match route {
            Route::Reload => {
                let request: ReloadRequest = parse(body)?;
                (Self::Reload(request.clone()), request.reason)
            }
            Route::Revert => {
                let request: RevertRequest = parse_or_default(body)?;
                (Self::Revert(request.clone()), request.reason)
            }
            Route::Unpin => {
                let request: UnpinRequest = parse_or_default(body)?;
                (Self::Unpin(request.clone()), request.reason)
            }
            Route::Status | Route::HandOver => return Err(Refusal::no_such_path()),
        };
        if reason.is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            return Err(Refusal::invalid(format!("`reason` is longer than {LONGEST_REASON} characters")));
        }
        Ok(order)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::invalid(format!("the body is not valid: {}", errors::shown(&error.to_string())))
    })
}

/// Nothing is said where nothing has to be.
fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() { Ok(T::default()) } else { parse(body) }
}

/// The whole body, unless it is too large or too slow.
pub(super) async fn read(mut body: Incoming) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > DISCARD as u64 {
        return Err(Refusal::too_large(LARGEST_BODY));
    }
    let (mut gathered, mut seen) = (BytesMut::new(), 0_usize);
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(Refusal::invalid("the body ended early or is not well-formed"));
            };
            let Ok(data) = frame.into_data() else { continue };
            seen += data.len();
            match seen {
                0..=LARGEST_BODY => gathered.extend_from_slice(&data),
                _ if seen > DISCARD => break,
                _ => {}
            }
        }
        Ok(())
    };
    let read = tokio::time::timeout(BODY_WITHIN, reading).await;
    if seen > LARGEST_BODY {
        return Err(Refusal::too_large(LARGEST_BODY));
    }
    read.unwrap_or_else(|_| Err(Refusal::too_slow()))?;
    Ok(gathered.freeze())
}
