//! One request under the limits of its pack: what its client is told of them, and the tokens that are charged once
//! they are known.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use policy_engine::{Charge, Inspection, Level, Usage};

use super::meters::GatewayMeters;

/// What is known of one request so far.
#[derive(Default)]
pub(super) struct Limits {
    requests: Option<Level>,
    tokens: Option<Level>,
    charges: Vec<Charge>,
    cost: Option<Cost>,
    usage: Option<Usage>,
    sent: usize,
    received: usize,
}

/// How a provider answers what is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// It was called and has not answered: what it was sent is to be paid.
    Called,
    Whole,
    Stream,
}

/// Without a word of the provider, a token is taken to be so many bytes of text.
const BYTES_OF_TEXT: usize = 4;
/// Of a stream, where most of the bytes are not text.
const BYTES_OF_STREAM: usize = 64;
/// A request is not taken for more: what is larger is mostly media.
const MOST_SENT: usize = 128 * 1024;

// === impl Limits ===

impl Limits {
    pub(super) fn decided(&mut self, inspection: &Inspection) {
        self.requests = self.requests.or(inspection.metered.requests);
        self.tokens = self.tokens.or(inspection.metered.tokens);
        self.charges.extend(&inspection.metered.charges);
        self.usage = inspection.usage.or(self.usage);
    }

    pub(super) fn costs(&mut self, cost: Option<Cost>) {
        self.cost = cost;
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent = bytes;
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.received += bytes;
    }

    /// To be done once, at the end.
    pub(super) fn charge(&self, meters: &GatewayMeters) {
        if let (false, Some(tokens)) = (self.charges.is_empty(), self.spent()) {
            meters.charge(&self.charges, tokens);
        }
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if let Some(level) = &self.requests {
            let names = [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ];
            write(headers, names, level);
        }
        if let Some(level) = &self.tokens {
            let names =
                ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
            write(headers, names, level);
        }
    }

    /// `None`: no provider was called, or none gave an answer.
    fn spent(&self) -> Option<u64> {
        let received = match self.cost? {
            Cost::Called => 0,
            Cost::Whole => self.received / BYTES_OF_TEXT,
            Cost::Stream => self.received / BYTES_OF_STREAM,
        };
        let told = self.usage.map(|usage| usage.input_tokens.saturating_add(usage.output_tokens));
        Some(told.unwrap_or_else(|| (self.sent.min(MOST_SENT) / BYTES_OF_TEXT + received) as u64))
    }
}

/// In place of what the provider says about our account with it.
fn write(headers: &mut HeaderMap, [limit, remaining, reset]: [&'static str; 3], level: &Level) {
    headers.insert(limit, HeaderValue::from(level.limit));
    headers.insert(remaining, HeaderValue::from(level.remaining));
    if let Ok(value) = HeaderValue::from_str(&spelled(level.reset)) {
        headers.insert(reset, value);
    }
}

/// As OpenAI spells durations: `6m0s`, `1s`, `20ms`.
fn spelled(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        _ if duration < Duration::from_secs(1) => format!("{}ms", duration.as_millis()),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_as_clients_know_them() {
        for (millis, expected) in
            [(0, "0ms"), (20, "20ms"), (1000, "1s"), (1001, "2s"), (360_000, "6m0s"), (3_725_000, "1h2m5s")]
        {
            assert_eq!(spelled(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn what_the_provider_does_not_tell_is_taken_from_the_size() {
        let mut limits = Limits::default();
        limits.sent(400);
        assert_eq!(limits.spent(), None, "no provider was asked");
        limits.costs(Some(Cost::Called));
        assert_eq!(limits.spent(), Some(100));
        limits.received(6400);
        limits.costs(Some(Cost::Stream));
        assert_eq!(limits.spent(), Some(200));
        limits.costs(Some(Cost::Whole));
        assert_eq!(limits.spent(), Some(1700));
        limits.usage = Some(Usage { input_tokens: 3, output_tokens: 4 });
        assert_eq!(limits.spent(), Some(7));
    }
}
