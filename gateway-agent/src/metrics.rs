//! What the data plane counts: one struct of ready handles, built once and handed down.

pub mod timings;

use std::fmt::Write;
use std::sync::OnceLock;

use http::StatusCode;
use metrics::{Counter, Gauge};
use policy_config::schema::{FallbackTrigger, TargetId};
use policy_engine::Verdict;

use crate::activation::live::LivePolicy;

/// Handles of the data plane's metrics. Built after the recorder is installed, else they count nowhere.
pub struct ProxyMetrics {
    /// By route, status and verdict; a handle is made with the first request of its kind.
    requests: Vec<OnceLock<Counter>>,
    in_flight: Gauge,
    connections: Gauge,
    connections_refused: Counter,
    shed_in_flight: Counter,
    shed_connections: Counter,
    rate_limited: Counter,
}

/// Handles of the decision log's metrics.
#[derive(Clone)]
pub struct DecisionMetrics {
    pub written: Counter,
    pub dropped: Counter,
}

/// Counts one thing up, and down again when dropped.
pub struct GaugeHold(Gauge);

/// What a request that met no route counts as, and a status that is not listed.
const NONE: &str = "none";
const ROUTES: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/models",
    "/v1/models/{model}",
    NONE,
];
const STATUSES: [u16; 24] = [
    200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 417, 422, 424, 429, 431, 499, 500,
    502, 503, 504,
];
const VERDICTS: [Option<Verdict>; 5] =
    [None, Some(Verdict::Allow), Some(Verdict::Redact), Some(Verdict::Escalate), Some(Verdict::Block)];

// === impl ProxyMetrics ===

impl ProxyMetrics {
    pub fn new() -> Self {
        let kinds = ROUTES.len() * (STATUSES.len() + 1) * VERDICTS.len();
        Self {
            requests: std::iter::repeat_with(OnceLock::new).take(kinds).collect(),
            in_flight: metrics::gauge!("kt_gateway_requests_in_flight"),
            connections: metrics::gauge!("kt_gateway_connections"),
            connections_refused: metrics::counter!("kt_gateway_connections_refused_total"),
            shed_in_flight: shed("in_flight"),
            shed_connections: shed("connections"),
            rate_limited: metrics::counter!("kt_gateway_rate_limited_total"),
        }
    }

    /// One request has ended; the route is `None` where there is none, the verdict where no policy was asked.
    pub fn request_ended(&self, route: Option<&'static str>, status: u16, verdict: Option<Verdict>) {
        let route_at = ROUTES.iter().position(|known| Some(*known) == route).unwrap_or(ROUTES.len() - 1);
        let status_at = STATUSES.binary_search(&status).unwrap_or(STATUSES.len());
        let verdict_at = VERDICTS.iter().position(|known| *known == verdict).unwrap_or_default();
        let at = (route_at * (STATUSES.len() + 1) + status_at) * VERDICTS.len() + verdict_at;
        let Some(handle) = self.requests.get(at) else { return };
        let counter = handle.get_or_init(|| {
            let route = ROUTES.get(route_at).copied().unwrap_or(NONE);
            let status = STATUSES.get(status_at).map_or_else(|| "other".to_owned(), u16::to_string);
            let verdict = verdict.map_or(NONE, Verdict::as_str);
            metrics::counter!(
                "kt_gateway_requests_total", "route" => route, "status" => status, "verdict" => verdict
            )
        });
        counter.increment(1);
        if status == StatusCode::TOO_MANY_REQUESTS.as_u16() && verdict.is_some_and(Verdict::stops) {
            self.rate_limited.increment(1);
        }
    }

    pub fn hold_request(&self) -> GaugeHold {
        GaugeHold::new(&self.in_flight)
    }

    pub fn hold_connection(&self) -> GaugeHold {
        GaugeHold::new(&self.connections)
    }

    pub fn connection_refused(&self) {
        self.connections_refused.increment(1);
        self.shed_connections.increment(1);
    }

    /// A request goes to the next target.
    pub fn fell_back(&self, from: &TargetId, trigger: FallbackTrigger) {
        let trigger = match trigger {
            FallbackTrigger::RateLimit => "rate_limit",
            FallbackTrigger::ServerError => "server_error",
            FallbackTrigger::Timeout => "timeout",
        };
        // Seldom, so nothing is kept ready for it.
        metrics::counter!("kt_gateway_fallbacks_total", "from" => from.0.clone(), "trigger" => trigger)
            .increment(1);
    }

    /// A request was sent away because too many are served.
    pub fn request_shed(&self) {
        self.shed_in_flight.increment(1);
    }
}

impl Default for ProxyMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Work that was sent away because there is too much of it.
pub fn shed(reason: &'static str) -> Counter {
    metrics::counter!("kt_gateway_shed_total", "reason" => reason)
}

/// What is read at the moment it is asked for: appended to what the recorder knows.
pub fn render_live(live: &LivePolicy, text: &mut String) {
    timings::timings().render(text);
    let name = "kt_gateway_in_flight";
    // Writing into a String cannot fail.
    let _ =
        write!(text, "# HELP {name} Requests in flight, by the pack they run under.\n# TYPE {name} gauge\n");
    for (digest, count) in live.in_flight() {
        let digest = digest.to_string();
        let short = digest.get(..SHORT_DIGEST).unwrap_or(&digest);
        let _ = writeln!(text, "{name}{{config_digest=\"{}\"}} {count}", label(short));
    }
    if let Some(policy) = live.snapshot()
        && let Some(stations) = policy.stations.get()
    {
        let name = "kt_gateway_target_open";
        let _ = write!(
            text,
            "# HELP {name} Whether the circuit breaker keeps requests from the target.\n# TYPE {name} gauge\n"
        );
        for (target, is_open) in policy.engine.targets().iter().zip(stations.are_open()) {
            let _ = writeln!(text, "{name}{{target=\"{}\"}} {}", label(&target.id.0), u8::from(is_open));
        }
    }
    let name = "kt_gateway_log_lines_lost_total";
    let lost = service_kit::telemetry::lost();
    let _ = write!(
        text,
        "# HELP {name} Lines of the log that whoever reads it was too slow for.\n# TYPE {name} counter\n{name} {lost}\n"
    );
    let name = "kt_gateway_retired_policies";
    let _ = write!(
        text,
        "# HELP {name} Replaced packs that a request still holds.\n# TYPE {name} gauge\n{name} {}\n",
        live.retired_draining()
    );
}

/// `sha256:` and twelve digits.
const SHORT_DIGEST: usize = 7 + 12;

/// A label's value as the text format wants it.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

// === impl DecisionMetrics ===

impl DecisionMetrics {
    pub fn new() -> Self {
        Self {
            written: metrics::counter!("kt_gateway_decisions_written_total"),
            dropped: metrics::counter!("kt_gateway_decisions_dropped_total"),
        }
    }
}

impl Default for DecisionMetrics {
    fn default() -> Self {
        Self::new()
    }
}

// === impl GaugeHold ===

impl GaugeHold {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for GaugeHold {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_under_its_route() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let counted = ProxyMetrics::new();
            for route in [Some("/v1/models"), Some("/v1/models/{model}"), None] {
                counted.request_ended(route, 200, None);
            }
        });
        let text = handle.render();
        for route in ["/v1/models", "/v1/models/{model}", "none"] {
            let series =
                format!("kt_gateway_requests_total{{route=\"{route}\",status=\"200\",verdict=\"none\"}} 1\n");
            assert!(text.contains(&series), "{text}");
        }
    }
}
