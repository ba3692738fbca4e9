//! Metric families and the one recorder of the process. Labels are words from closed sets, never names that users
//! or peers choose.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use service_kit::drain::DrainWatcher;

/// Calls by method and code.
pub const CALLS: &str = "kt_calls_total";
/// From a call's arrival to its answer, or to the beginning of its stream.
pub const CALL_SECONDS: &str = "kt_call_seconds";
/// Calls and streams that met a limit, by limit.
pub const REFUSED: &str = "kt_refused_total";
/// Open connections of the gRPC port.
pub const CONNECTIONS: &str = "kt_connections";
/// Connections that were closed from here, by cause and kind.
pub const CONNECTIONS_CLOSED: &str = "kt_connections_closed_total";
/// Gateways that are connected to this replica.
pub const SESSIONS: &str = "kt_sessions";
/// Offers sent to gateways.
pub const OFFERS: &str = "kt_offers_total";
/// Bytes of packs sent to gateways.
pub const PARCEL_BYTES: &str = "kt_parcel_bytes_total";
/// Answers of gateways by outcome.
pub const REPORTS: &str = "kt_reports_total";
/// Reports written in one transaction.
pub const REPORT_BATCH: &str = "kt_report_batch_size";
/// 1 while the database is there, 0 while it is away.
pub const DATABASE_UP: &str = "kt_database_up";
/// Reads that were answered from memory while the database was away, by method.
pub const STALE_ANSWERS: &str = "kt_stale_answers_total";

const UPKEEP: Duration = Duration::from_secs(5);
const SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0];
const SIZES: &[f64] = &[1.0, 5.0, 20.0, 100.0, 500.0];

/// The recorder, installed by the first control plane of the process; `None` when the process has another one.
pub fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER.get_or_init(install).as_ref()
}

/// Keeps histograms small until the drain begins.
pub async fn upkeep(handle: &'static PrometheusHandle, drain: DrainWatcher) {
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(UPKEEP) => handle.run_upkeep(),
        }
    }
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), SIZES));
    let handle = builder.and_then(PrometheusBuilder::install_recorder);
    match handle {
        Ok(handle) => {
            describe();
            Some(handle)
        }
        Err(error) => {
            tracing::warn!(%error, "metrics are not collected");
            None
        }
    }
}

fn describe() {
    metrics::describe_counter!(CALLS, "gRPC calls by method and code");
    metrics::describe_histogram!(
        CALL_SECONDS,
        "seconds from a call to its answer or the start of its stream"
    );
    metrics::describe_counter!(REFUSED, "calls and streams that met a limit, by limit");
    metrics::describe_gauge!(CONNECTIONS, "open connections of the gRPC port");
    metrics::describe_counter!(CONNECTIONS_CLOSED, "connections that the control plane closed, by cause");
    metrics::describe_gauge!(SESSIONS, "gateways connected to this replica");
    metrics::describe_counter!(OFFERS, "offers sent to gateways");
    metrics::describe_counter!(PARCEL_BYTES, "bytes of packs sent to gateways");
    metrics::describe_counter!(REPORTS, "answers of gateways by outcome");
    metrics::describe_histogram!(REPORT_BATCH, "reports written in one transaction");
    metrics::describe_gauge!(DATABASE_UP, "1 while the database is there, 0 while it is away");
    metrics::describe_counter!(STALE_ANSWERS, "reads answered from memory while the database was away");
    metrics::describe_histogram!("kt_store_transaction_seconds", "seconds of a transaction by what it does");
}

/// A code as a label.
pub const fn code_label(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}
