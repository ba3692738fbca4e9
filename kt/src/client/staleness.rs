//! Warns when a control plane answered from memory, because its database is away: the one place that sees every
//! answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use proto::STALE_SINCE;
use service_kit::clock::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::{Channel, Error};

use crate::printer;
use crate::words::show_duration;

/// A channel whose answers are looked at.
#[derive(Clone)]
pub(crate) struct Watched {
    channel: Channel,
    /// The oldest answer that was warned of: one warning for all pages of a listing.
    told: Arc<Mutex<Option<OffsetDateTime>>>,
}

// === impl Watched ===

impl Watched {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, told: Arc::default() }
    }
}

impl Service<Request<Body>> for Watched {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (answer, told) = (self.channel.call(request), self.told.clone());
        Box::pin(async move {
            let answer = answer.await?;
            if let Some(since) = stale_since(answer.headers()) {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.is_none_or(|told| since < told) {
                    *told = Some(since);
                    printer::warn(&warning(since, Clock::system().now()));
                }
            }
            Ok(answer)
        })
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched(…)")
    }
}

fn stale_since(headers: &HeaderMap) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(headers.get(STALE_SINCE)?.to_str().ok()?, &Rfc3339).ok()
}

fn warning(since: OffsetDateTime, now: OffsetDateTime) -> String {
    let ago = u64::try_from((now - since).whole_seconds()).unwrap_or_default();
    let ago = show_duration(std::time::Duration::from_secs(ago));
    let since = since.format(&Rfc3339).unwrap_or_default();
    format!("the control plane's database is away; this is as of {since} ({ago} ago)")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_warning_says_as_of_when() {
        let mut headers = HeaderMap::new();
        assert_eq!(stale_since(&headers), None);
        headers.insert(STALE_SINCE, "2026-11-22T10:00:00.25Z".parse().unwrap());
        let since = stale_since(&headers).expect("a time");
        let told = "the control plane's database is away; this is as of 2026-11-22T10:00:00.25Z";
        assert_eq!(warning(since, since + Duration::from_secs(72)), format!("{told} (1m12s ago)"));
        // The clocks of two machines.
        assert_eq!(warning(since, since - Duration::from_secs(3)), format!("{told} (0s ago)"));
    }
}
