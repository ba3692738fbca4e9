//! The decision event of one request while it is being served. Whatever ends the request, also a
//! client that hangs up, drops the record; dropping it writes the event and counts the request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use policy_config::schema::PolicyMode;
use policy_engine::{Inspection, PolicyRecord, Verdict};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::Proxy;
use super::limits::{Cost, Limits};
use super::route::Route;
use crate::activation::live::ActivePolicy;
use crate::decisions::{Decision, DecisionSink, Ended, PolicyDecision};

/// What a client that left before its answer is written down as.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// Longest model name and longest content that an event holds, bytes.
const MODEL_LIMIT: usize = 200;
const CONTENT_LIMIT: usize = 64 * 1024;

/// One request's event in the making.
pub(super) struct Record {
    decision: Decision,
    verdict: Option<Verdict>,
    started: Instant,
    with_content: bool,
    response: Vec<u8>,
    limits: Limits,
    proxy: Arc<Proxy>,
    sink: DecisionSink,
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
        id: &str,
        now: OffsetDateTime,
        route: Option<Route>,
        policy: Option<&ActivePolicy>,
    ) -> Self {
        let decision = Decision {
            id: id.to_owned(),
            // Formatting a date of this era as RFC 3339 cannot fail.
            at: now.format(&Rfc3339).unwrap_or_default(),
            route: route.map(Route::as_str),
            config_version: policy.map(|policy| policy.version.to_string()),
            config_digest: policy.map(|policy| policy.digest.to_string()),
            status: CLIENT_CLOSED_REQUEST,
            ..Decision::default()
        };
        let audit = policy.and_then(|policy| policy.engine.audit());
        let with_content =
            audit.is_some_and(|audit| audit.include_content && audit.mode == PolicyMode::Enforce);
        Self {
            decision,
            verdict: None,
            started: Instant::now(),
            with_content,
            response: Vec::new(),
            limits: Limits::default(),
            proxy: Arc::clone(proxy),
            sink: sink.clone(),
        }
    }

    pub(super) fn model(&mut self, model: &str) {
        self.decision.model = Some(text_up_to(model.as_bytes(), MODEL_LIMIT));
    }

    pub(super) fn target(&mut self, target: &str) {
        self.decision.target = Some(target.to_owned());
    }

    /// How many calls have been begun.
    pub(super) fn attempts(&mut self, attempts: u8) {
        self.decision.attempts = attempts;
    }

    /// What the policies of one phase decided.
    pub(super) fn decided(&mut self, phase: Phase, inspection: &Inspection) {
        self.verdict = self.verdict.max(Some(inspection.verdict));
        self.limits.decided(inspection);
        for policy in &inspection.policies {
            if policy.mode == PolicyMode::Enforce {
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

    /// The provider answers, and counts tokens for it.
    pub(super) fn costs(&mut self, cost: Cost) {
        self.limits.costs(cost);
    }

    /// What the pack's limits leave, as clients of OpenAI read it.
    pub(super) fn write_limits(&self, headers: &mut HeaderMap) {
        self.limits.write(headers);
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
        decision.verdict = self.verdict.map(Verdict::as_str);
        decision.latency_ms = (self.started.elapsed().as_micros() as f64) / 1000.0;
        if self.with_content && !self.response.is_empty() {
            decision.response = Some(text_up_to(&self.response, CONTENT_LIMIT));
        }
        // 499 is a status like any other to `http`; the fallback is never taken.
        let status = StatusCode::from_u16(decision.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.proxy.metrics.request_ended(status, self.verdict);
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
    }
}

fn text_up_to(bytes: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(bytes.get(..limit).unwrap_or(bytes)).into_owned()
}
