//! What the data plane counts: one struct of ready handles, built once and handed down.

use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram};
use policy_engine::Verdict;

/// Handles of the data plane's metrics. Built after the recorder is installed, else they count nowhere.
pub struct ProxyMetrics {
    requests: Vec<(StatusClass, Option<Verdict>, Counter)>,
    upstream_seconds: Histogram,
    in_flight: Gauge,
    connections: Gauge,
    connections_refused: Counter,
}

/// Handles of the decision log's metrics.
#[derive(Clone)]
pub struct DecisionMetrics {
    pub written: Counter,
    pub dropped: Counter,
}

/// First digit of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatusClass {
    Success,
    ClientError,
    ServerError,
    Other,
}

/// Counts one thing up, and down again when dropped.
pub struct GaugeHold(Gauge);

// === impl ProxyMetrics ===

impl ProxyMetrics {
    pub fn new() -> Self {
        const VERDICTS: [Option<Verdict>; 5] = [
            None,
            Some(Verdict::Allow),
            Some(Verdict::Redact),
            Some(Verdict::Escalate),
            Some(Verdict::Block),
        ];
        let requests = StatusClass::ALL.iter().flat_map(|class| {
            VERDICTS.iter().map(|verdict| {
                let label = verdict.map_or("none", Verdict::as_str);
                let counter = metrics::counter!(
                    "kt_gateway_requests_total", "status" => class.label(), "verdict" => label
                );
                (*class, *verdict, counter)
            })
        });
        Self {
            requests: requests.collect(),
            upstream_seconds: metrics::histogram!("kt_gateway_upstream_seconds"),
            in_flight: metrics::gauge!("kt_gateway_requests_in_flight"),
            connections: metrics::gauge!("kt_gateway_connections"),
            connections_refused: metrics::counter!("kt_gateway_connections_refused_total"),
        }
    }

    /// One request has ended; `None` where no policy was asked.
    pub fn request_ended(&self, status: StatusCode, verdict: Option<Verdict>) {
        let class = StatusClass::of(status);
        if let Some((_, _, counter)) =
            self.requests.iter().find(|(of, decided, _)| *of == class && *decided == verdict)
        {
            counter.increment(1);
        }
    }

    /// From the call to the provider's response head.
    pub fn upstream_answered(&self, after: Duration) {
        self.upstream_seconds.record(after.as_secs_f64());
    }

    pub fn hold_request(&self) -> GaugeHold {
        GaugeHold::new(&self.in_flight)
    }

    pub fn hold_connection(&self) -> GaugeHold {
        GaugeHold::new(&self.connections)
    }

    pub fn connection_refused(&self) {
        self.connections_refused.increment(1);
    }
}

impl Default for ProxyMetrics {
    fn default() -> Self {
        Self::new()
    }
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

// === impl StatusClass ===

impl StatusClass {
    const ALL: [Self; 4] = [Self::Success, Self::ClientError, Self::ServerError, Self::Other];

    fn of(status: StatusCode) -> Self {
        match status.as_u16() / 100 {
            2 => Self::Success,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::Other,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Other => "other",
        }
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
