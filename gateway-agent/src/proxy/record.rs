//! The decision event of one request while it is being served. Whatever ends the request, also a
//! client that hangs up, drops the record; dropping it writes the event and counts the request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use policy_config::schema::PolicyMode;
use policy_engine::{Inspection, PolicyRecord, Verdict};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::Proxy;
use super::inspect::Granted;
use super::limits::{Cost, Limits};
use super::route::Route;
use super::targets::Lane;
use super::trace::Trace;
use super::upstream::UpstreamFailure;
use crate::activation::live::{ActivePolicy, UnderPolicy};
use crate::decisions::{
    Decision, DecisionSink, Ended, Latency, PolicyDecision, Shared, TokenUsage, milliseconds,
};
use crate::metrics::timings::{Histogram, timings};

/// What a client that left before its answer is written down as.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// Longest model name and longest content that an event holds, bytes.
const MODEL_LIMIT: usize = 200;
const CONTENT_LIMIT: usize = 64 * 1024;

/// One request's event in the making.
pub(super) struct Record {
    decision: Box<Decision>,
    verdict: Option<Verdict>,
    started: Instant,
    spent: Spent,
    trace: Trace,
    with_content: bool,
    response: Vec<u8>,
    limits: Limits,
    proxy: Arc<Proxy>,
    sink: DecisionSink,
    granted: Granted,
    _under: Option<UnderPolicy>,
}

/// Where the time of a request went.
#[derive(Default)]
struct Spent {
    input: Duration,
    output: Duration,
    called: Option<Instant>,
    upstream: Option<Duration>,
    first_byte: Option<Duration>,
}

/// When in a request a policy ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Input,
    Output,
}

// === impl Record ===

impl Record {
    pub(super) fn begin(
        proxy: &Arc<Proxy>,
        sink: &DecisionSink,
        id: Uuid,
        at: OffsetDateTime,
        route: Option<Route>,
        (policy, trace): (Option<&Arc<ActivePolicy>>, Trace),
    ) -> Self {
        let decision = Decision {
            id,
            at,
            route: route.map(Route::as_str),
            config_version: policy.map(|policy| Shared(Arc::clone(&policy.names.version))),
            config_digest: policy.map(|policy| Shared(Arc::clone(&policy.names.digest))),
            generation: policy.and_then(|policy| policy.generation()).map(|generation| generation.0),
            status: CLIENT_CLOSED_REQUEST,
            trace_id: Some(trace.id()),
            ..Decision::default()
        };
        let audit = policy.and_then(|policy| policy.engine.audit());
        let with_content =
            audit.is_some_and(|audit| audit.include_content && audit.mode == PolicyMode::Enforce);
        Self {
            decision: Box::new(decision),
            verdict: None,
            started: Instant::now(),
            spent: Spent::default(),
            trace,
            with_content,
            response: Vec::new(),
            limits: Limits::default(),
            proxy: Arc::clone(proxy),
            sink: sink.clone(),
            granted: Granted::default(),
            _under: policy.map(ActivePolicy::serves),
        }
    }

    /// What the request holds for as long as it lasts.
    pub(super) fn granted(&mut self) -> &mut Granted {
        &mut self.granted
    }

    /// For the engine: the turns that large bodies take, and what the request holds meanwhile.
    pub(super) fn lends(&mut self) -> (&Arc<Semaphore>, &mut Granted) {
        (&self.proxy.turns, &mut self.granted)
    }

    pub(super) fn trace(&self) -> Trace {
        self.trace
    }

    /// The request wants a stream.
    pub(super) fn wants_stream(&mut self, stream: bool) {
        self.decision.stream = stream;
    }

    pub(super) fn model(&mut self, model: &str) {
        self.decision.model = Some(text_up_to(model.as_bytes(), MODEL_LIMIT));
    }

    pub(super) fn target(&mut self, target: &str) {
        self.decision.target = Some(target.to_owned());
    }

    /// How many calls have been begun; the last of them at this moment.
    pub(super) fn attempts(&mut self, attempts: u8) {
        self.decision.attempts = attempts;
        self.spent.called = Some(Instant::now());
        self.spent.upstream = None;
    }

    /// The provider that was called last has sent the head of its response.
    pub(super) fn heard(&mut self, timing: &Histogram) {
        self.spent.upstream = self.spent.called.map(|called| called.elapsed());
        if let Some(took) = self.spent.upstream {
            timing.record(took);
        }
    }

    /// What the engine took for a body, or for a piece of a stream.
    pub(super) fn inspected(&mut self, phase: Phase, took: Duration) {
        match phase {
            Phase::Input => self.spent.input += took,
            Phase::Output => self.spent.output += took,
        }
    }

    /// Bytes of the answer's body are on their way to the client.
    pub(super) fn sends(&mut self) {
        if self.spent.first_byte.is_none() {
            self.spent.first_byte = Some(self.started.elapsed());
        }
    }

    /// What the policies of one phase decided.
    pub(super) fn decided(&mut self, phase: Phase, inspection: &Inspection) {
        self.verdict = self.verdict.max(Some(inspection.verdict));
        self.limits.decided(inspection);
        if let Some(usage) = inspection.usage {
            let (input_tokens, output_tokens) = (usage.input_tokens, usage.output_tokens);
            self.decision.usage = Some(TokenUsage { input_tokens, output_tokens });
        }
        for policy in &inspection.policies {
            timings().policy(policy.kind.as_str(), phase.as_str(), policy.took);
            if policy.mode == PolicyMode::Enforce {
                self.decision.redactions = self.decision.redactions.saturating_add(policy.redactions);
                for code in &policy.reason_codes {
                    if !self.decision.reason_codes.contains(code) {
                        self.decision.reason_codes.push(code);
                    }
                }
            }
            self.decision.policies.push(policy_decision(phase, policy));
        }
    }

    /// The request as it is sent on; kept only where the pack asks for it.
    pub(super) fn request_content(&mut self, body: &[u8]) {
        self.limits.sent(body.len());
        if self.with_content {
            self.decision.request = Some(text_up_to(body, CONTENT_LIMIT));
        }
    }

    /// Bytes on their way to the client; kept only where the pack asks for it.
    pub(super) fn response_content(&mut self, bytes: &Bytes) {
        self.limits.received(bytes.len());
        if self.with_content {
            let room = CONTENT_LIMIT.saturating_sub(self.response.len());
            self.response.extend(bytes.iter().take(room));
        }
    }

    /// What is to be paid if the request ends now.
    pub(super) fn costs(&mut self, cost: Option<Cost>) {
        self.limits.costs(cost);
    }

    /// What the pack's limits leave, as clients of OpenAI read it.
    pub(super) fn write_limits(&self, headers: &mut HeaderMap) {
        self.limits.write(headers);
    }

    /// Says in the log that a call failed, but not for each of many.
    pub(super) fn tell(&self, lane: Option<&Lane>, failure: &UpstreamFailure) {
        let Some(lane) = lane else { return };
        if let Some(unsaid) = lane.failures().speaks(self.proxy.targets.now()) {
            let target = self.decision.target.as_deref().unwrap_or_default();
            tracing::warn!(target, reason = %failure, unsaid, "a call to a provider failed");
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.decision.status = status.as_u16();
    }

    pub(super) fn ended(&mut self, ended: Ended) {
        self.decision.ended = ended;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.limits.charge(&self.proxy.meters);
        let mut decision = std::mem::take(&mut self.decision);
        let total = self.started.elapsed();
        let Spent { input, output, upstream, first_byte, .. } = self.spent;
        decision.verdict = self.verdict.map(Verdict::as_str);
        decision.latency_ms = milliseconds(total);
        decision.latency = Latency {
            policy_ms: milliseconds(input + output),
            policy_in_ms: milliseconds(input),
            policy_out_ms: milliseconds(output),
            upstream_ms: upstream.map(milliseconds),
            first_byte_ms: first_byte.map(milliseconds),
            total_ms: milliseconds(total),
        };
        if self.with_content && !self.response.is_empty() {
            decision.response = Some(text_up_to(&self.response, CONTENT_LIMIT));
        }
        let timings = timings();
        for (phase, took) in [(Phase::Input, input), (Phase::Output, output)] {
            if !took.is_zero() {
                timings.inspection(phase.as_str(), took);
            }
        }
        if let Some(first_byte) = first_byte {
            timings.first_byte(first_byte);
        }
        timings.request(total);
        self.proxy.metrics.request_ended(decision.route, decision.status, self.verdict);
        self.sink.record(decision);
    }
}

// === impl Phase ===

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

fn policy_decision(phase: Phase, policy: &PolicyRecord) -> PolicyDecision {
    PolicyDecision {
        kind: policy.kind.as_str(),
        phase: phase.as_str(),
        mode: match policy.mode {
            PolicyMode::Enforce => "enforce",
            PolicyMode::Shadow => "shadow",
        },
        verdict: policy.verdict.as_str(),
        reason_codes: policy.reason_codes.clone(),
        redactions: policy.redactions,
        took_us: u64::try_from(policy.took.as_micros()).unwrap_or(u64::MAX),
    }
}

fn text_up_to(bytes: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(bytes.get(..limit).unwrap_or(bytes)).into_owned()
}
