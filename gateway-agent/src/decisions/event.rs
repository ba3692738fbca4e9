//! What one line of the decision log says.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// One request, as `logs/decisions.jsonl` tells it.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// The `x-kt-request-id` of the response.
    #[serde(serialize_with = "hyphenated")]
    pub id: Uuid,
    /// When the request arrived, RFC 3339 UTC.
    #[serde(serialize_with = "rfc3339")]
    pub at: OffsetDateTime,
    /// `null` for a path that is no route.
    pub route: Option<&'static str>,
    /// As the client wrote it; `null` when the body was not read that far.
    pub model: Option<String>,
    /// Id of the target that was called last or would have been.
    pub target: Option<String>,
    /// Calls to providers.
    pub attempts: u8,
    /// The request asked for a stream.
    pub stream: bool,
    /// The strongest verdict of both phases; `null` when no policy was asked.
    pub verdict: Option<&'static str>,
    pub reason_codes: Vec<&'static str>,
    /// Of all enforced policies together.
    pub redactions: u32,
    /// `null` where the provider did not say, or nobody read what it said.
    pub usage: Option<TokenUsage>,
    pub config_version: Option<Shared>,
    pub config_digest: Option<Shared>,
    /// `null` for a pack that no control plane assigned.
    pub generation: Option<u64>,
    /// What the client was sent; 499 when it left before the answer.
    pub status: u16,
    /// Arrival to last byte.
    pub latency_ms: f64,
    pub latency: Latency,
    /// Of the W3C trace context, the client's or the gateway's own.
    pub trace_id: Option<TraceId>,
    pub policies: Vec<PolicyDecision>,
    /// How the response ended.
    pub ended: Ended,
    /// The request as it was sent on; only with `include_content: true`, cut at 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The response as the client got it; only with `include_content: true`, cut at 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

/// Where the time went; what did not happen is `null`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// Both phases together.
    pub policy_ms: f64,
    pub policy_in_ms: f64,
    pub policy_out_ms: f64,
    /// The last call, to the provider's response head.
    pub upstream_ms: Option<f64>,
    /// Arrival to the first byte of the answer's body.
    pub first_byte_ms: Option<f64>,
    /// Arrival to last byte.
    pub total_ms: f64,
}

/// Tokens as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TokenUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// What one policy decided about one phase of a request.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyDecision {
    pub kind: &'static str,
    /// `input` or `output`.
    pub phase: &'static str,
    /// `enforce` or `shadow`; a shadowed verdict changed nothing.
    pub mode: &'static str,
    pub verdict: &'static str,
    pub reason_codes: Vec<&'static str>,
    pub redactions: u32,
    pub took_us: u64,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The client left before the last byte.
    #[default]
    ClientGone,
    /// Everything that was to be said was handed to the client's connection.
    Complete,
    /// The provider broke off or fell silent after its response had begun.
    UpstreamFailed,
    /// A policy stopped a stream that had begun.
    Blocked,
}

/// Text that all events of one pack share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared(pub Arc<str>);

/// 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub u128);

// === impl Decision ===

impl Default for Decision {
    fn default() -> Self {
        Self {
            id: Uuid::nil(),
            at: OffsetDateTime::UNIX_EPOCH,
            route: None,
            model: None,
            target: None,
            attempts: 0,
            stream: false,
            verdict: None,
            reason_codes: Vec::new(),
            redactions: 0,
            usage: None,
            config_version: None,
            config_digest: None,
            generation: None,
            status: 0,
            latency_ms: 0.0,
            latency: Latency::default(),
            trace_id: None,
            policies: Vec::new(),
            ended: Ended::default(),
            request: None,
            response: None,
        }
    }
}

impl Decision {
    /// Bytes of request and response in it.
    pub(super) fn content(&self) -> usize {
        [&self.request, &self.response].into_iter().flatten().map(String::len).sum()
    }
}

/// To the microsecond.
pub fn milliseconds(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:032x}", self.0))
    }
}

fn hyphenated<S: Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

fn rfc3339<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
    // Formatting a date of this era cannot fail.
    to.serialize_str(&at.format(&Rfc3339).unwrap_or_default())
}
