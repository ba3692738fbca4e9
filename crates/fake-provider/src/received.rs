//! What the provider received, newest last, for tests and the demo to look at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::Serialize;

/// The last requests, shared between the server and whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Received(Arc<Mutex<Log>>);

/// One request as it came in.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedRequest {
    /// Counts from 1 over the provider's life.
    pub number: u64,
    pub method: String,
    /// With its query.
    pub path: String,
    /// Lower-case names. Of `authorization` only that it is there and how long it is.
    pub headers: BTreeMap<String, String>,
    /// The body byte for byte, as text.
    pub body: String,
}

#[derive(Debug, Default)]
struct Log {
    count: u64,
    /// How often a fault of this name was asked for.
    asked: BTreeMap<String, u64>,
    newest: VecDeque<ReceivedRequest>,
}

/// Older requests are forgotten.
const KEPT_REQUESTS: usize = 256;
/// Of a body, so many bytes are kept.
const KEPT_BODY_BYTES: usize = 256 * 1024;

// === impl Received ===

impl Received {
    /// All that is kept, newest last.
    pub fn all(&self) -> Vec<ReceivedRequest> {
        self.lock().newest.iter().cloned().collect()
    }

    pub fn last(&self) -> Option<ReceivedRequest> {
        self.lock().newest.back().cloned()
    }

    /// How many requests came in over the provider's life.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// Counts that a fault of this name is asked for, and says how often it was before.
    pub(crate) fn ask(&self, name: &str) -> u64 {
        let mut log = self.lock();
        let times = log.asked.entry(name.to_owned()).or_default();
        let before = *times;
        *times += 1;
        before
    }

    pub(crate) fn record(&self, head: &Parts, body: &Bytes) {
        let kept = body.get(..KEPT_BODY_BYTES).unwrap_or(body);
        let mut log = self.lock();
        log.count += 1;
        let number = log.count;
        log.newest.push_back(ReceivedRequest {
            number,
            method: head.method.to_string(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: shown_headers(head),
            body: String::from_utf8_lossy(kept).into_owned(),
        });
        if log.newest.len() > KEPT_REQUESTS {
            log.newest.pop_front();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown_headers(head: &Parts) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = if name == AUTHORIZATION || name.as_str().contains("api-key") {
            format!("present ({} bytes)", value.len())
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        shown
            .entry(name.as_str().to_owned())
            .and_modify(|earlier| {
                earlier.push_str(", ");
                earlier.push_str(&value);
            })
            .or_insert(value);
    }
    shown
}
