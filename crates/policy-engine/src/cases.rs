//! Runs a case of a golden file or suite through an engine, as a gateway would a request and its answer.

use policy_config::schema::{ExpectedReason, PolicyMode, TestCase, UpstreamResponse};

use crate::endpoint::Endpoint;
use crate::engine::Engine;
use crate::json::encode;
use crate::request::RequestError;
use crate::surroundings::Nowhere;
use crate::text::Phase;
use crate::verdict::{Inspection, PolicyRecord, Verdict};

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// The strongest of both phases.
    pub verdict: Verdict,
    /// Why, dotted: the first reason of the policy whose verdict it is.
    pub reason_code: Option<&'static str>,
    /// It is what was expected.
    pub passed: bool,
    /// What was expected if it is not that, and what each policy found. No text of the case.
    pub details: String,
}

/// Of a request; no policy that there is looks at it.
const MODEL: &str = "policy-test";

// === impl Engine ===

impl Engine {
    /// The input phase over the request of `case`; unless that is blocked, the output phase over what the provider
    /// answers.
    ///
    /// # Errors
    /// A gateway would refuse the request before any policy sees it.
    pub fn run_case(&self, case: &TestCase) -> Result<CaseOutcome, RequestError> {
        let body = format!("{{\"model\":\"{MODEL}\",\"messages\":{}}}", case.messages);
        let input = self.inspect_request(Endpoint::ChatCompletions, body.as_bytes(), &Nowhere)?;
        let output = match &case.upstream_response {
            Some(answer) if input.block.is_none() => Some(self.inspect_answer(answer)),
            _ => None,
        };
        let (verdict, reason_code) = decided(&input, output.as_ref());
        let passed = case.expected.verdict.as_str() == verdict.as_str()
            && case.expected.reason_code.is_met_by(reason_code);
        let mut told = Vec::new();
        if !passed {
            told.push(format!("expected {}, got {}", expected(case), named(verdict.as_str(), reason_code)));
        }
        told.extend(found(Phase::Input, &input));
        told.extend(output.iter().flat_map(|output| found(Phase::Output, output)));
        if input.block.is_some() && case.upstream_response.is_some() {
            told.push("the answer was not asked for".to_owned());
        }
        if told.is_empty() {
            told.push("nothing was found".to_owned());
        }
        Ok(CaseOutcome { verdict, reason_code, passed, details: told.join("; ") })
    }

    fn inspect_answer(&self, answer: &UpstreamResponse) -> Inspection {
        if !self.inspects_responses() {
            return self.pass_response(b"");
        }
        match answer {
            UpstreamResponse::Answer(json) => {
                self.inspect_response(Endpoint::ChatCompletions, json.as_bytes(), &Nowhere)
            }
            UpstreamResponse::Text(text) => {
                let text = encode(text);
                let body = format!(
                    "{{\"id\":\"{MODEL}\",\"object\":\"chat.completion\",\"created\":0,\"model\":\"{MODEL}\",\
                     \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\
                     \"finish_reason\":\"stop\"}}]}}"
                );
                self.inspect_response(Endpoint::ChatCompletions, body.as_bytes(), &Nowhere)
            }
        }
    }
}

/// The verdict of both phases and the reason of the policy that it comes from; what is shadowed decides nothing.
fn decided(input: &Inspection, output: Option<&Inspection>) -> (Verdict, Option<&'static str>) {
    let verdict = output.map_or(input.verdict, |output| input.verdict.max(output.verdict));
    let stopped =
        [Some(input), output].into_iter().flatten().find_map(|inspection| inspection.block.as_ref());
    let reason_code = stopped.map(|block| block.reason_code).or_else(|| {
        let records = [Some(input), output].into_iter().flatten().flat_map(|inspection| &inspection.policies);
        records
            .filter(|record| record.mode == PolicyMode::Enforce && record.verdict == verdict)
            .find_map(|record| record.reason_codes.first().copied())
    });
    (verdict, reason_code)
}

fn found(phase: Phase, inspection: &Inspection) -> impl Iterator<Item = String> + '_ {
    let phase = match phase {
        Phase::Input => "request",
        Phase::Output => "answer",
    };
    let records = inspection.policies.iter();
    records.filter(|record| !record.reason_codes.is_empty()).map(move |record| tell(phase, record))
}

/// `pii-detector: redact (pii.detected) in the answer, 2 places`
fn tell(phase: &str, record: &PolicyRecord) -> String {
    let verdict = named(record.verdict.as_str(), record.reason_codes.first().copied());
    let would = if record.mode == PolicyMode::Shadow { "would be " } else { "" };
    let places = match record.redactions {
        0 => String::new(),
        1 => ", 1 place".to_owned(),
        places => format!(", {places} places"),
    };
    format!("{}: {would}{verdict} in the {phase}{places}", record.kind)
}

fn expected(case: &TestCase) -> String {
    let verdict = case.expected.verdict.as_str();
    match &case.expected.reason_code {
        ExpectedReason::Any => verdict.to_owned(),
        ExpectedReason::None => named(verdict, None),
        ExpectedReason::Code(code) => named(verdict, Some(code)),
    }
}

/// `block (pii.detected)`
fn named(verdict: &str, reason_code: Option<&str>) -> String {
    format!("{verdict} ({})", reason_code.unwrap_or("no reason"))
}
