//! What happens when a policy cannot judge: it panics, or the body takes more work than it may.

#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use policy_config::schema::{
    AuditLogger, DetectAction, MarkerFormat, PiiAction, PiiDetector, PolicyKind, PolicyMode, PromptInjection,
};

use super::*;
use crate::budget::EXCEEDED;
use crate::policies::audit_logger::AuditLoggerPolicy;
use crate::policies::pii_detector::PiiDetectorPolicy;
use crate::policies::prompt_injection::PromptInjectionPolicy;

const BUDGET: Duration = Duration::from_millis(250);

/// Breaks on every body.
#[derive(Debug)]
struct Broken {
    kind: PolicyKind,
    mode: PolicyMode,
    fails_closed: bool,
}

impl Policy for Broken {
    fn kind(&self) -> PolicyKind {
        self.kind
    }

    fn mode(&self) -> PolicyMode {
        self.mode
    }

    fn runs_in(&self, _: Phase) -> bool {
        true
    }

    fn reads_text(&self) -> bool {
        self.fails_closed
    }

    fn fails_closed(&self) -> bool {
        self.fails_closed
    }

    fn judge(&self, _: &Subject<'_>) -> Result<Decision, CannotJudge> {
        panic!("as planned")
    }
}

/// Every look at a clock costs what it says; looks at the processor's are counted.
struct Ticking {
    step: Duration,
    looks: AtomicU32,
    time: AtomicU32,
}

impl Ticking {
    fn by(step: Duration) -> Self {
        Self { step, looks: AtomicU32::new(0), time: AtomicU32::new(0) }
    }
}

impl Surroundings for Ticking {
    fn header(&self, _: &str) -> Option<&str> {
        None
    }

    fn address(&self) -> Option<std::net::IpAddr> {
        None
    }

    fn now(&self) -> Duration {
        self.step * self.time.fetch_add(1, Ordering::Relaxed)
    }

    fn cpu(&self) -> Duration {
        self.step * self.looks.fetch_add(1, Ordering::Relaxed)
    }
}

fn chain(policies: Vec<Box<dyn Policy>>) -> Chain {
    Chain::new(policies, BUDGET)
}

fn pii() -> Box<dyn Policy> {
    let settings = PiiDetector {
        mode: PolicyMode::Enforce,
        action: PiiAction::Redact,
        pci_mode: true,
        healthcare_mode: false,
        detect_patterns: Default::default(),
        marker_format: MarkerFormat::Label,
        custom_markers: Default::default(),
    };
    Box::new(PiiDetectorPolicy::compile(&settings).unwrap())
}

fn injection() -> Box<dyn Policy> {
    let settings = PromptInjection {
        mode: PolicyMode::Enforce,
        action: DetectAction::Block,
        message: "no".to_owned(),
        attack_patterns: Vec::new(),
    };
    Box::new(PromptInjectionPolicy::compile(&settings).unwrap())
}

fn logger() -> Box<dyn Policy> {
    Box::new(AuditLoggerPolicy::compile(&AuditLogger { mode: PolicyMode::Enforce, include_content: false }))
}

/// A request whose texts have so many bytes together.
fn body(bytes: usize) -> Vec<u8> {
    let part = format!(r#"{{"role":"user","content":"{}"}},"#, "word ".repeat(1600));
    let parts = part.repeat(bytes / 8000 + 1);
    format!(r#"{{"model":"m","messages":[{}]}}"#, parts.trim_end_matches(',')).into_bytes()
}

fn inspect(chain: &Chain, body: &[u8], around: &dyn Surroundings) -> Inspection {
    chain.inspect_input(Endpoint::ChatCompletions, "m", Document::parse(body).unwrap(), around)
}

#[test]
fn a_panic_is_the_fault_of_one_policy() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"a@b.org"}]}"#;
    let broken = |mode, fails_closed| -> Box<dyn Policy> {
        Box::new(Broken { kind: PolicyKind::PromptInjection, mode, fails_closed })
    };

    let closed = inspect(&chain(vec![broken(PolicyMode::Enforce, true), pii()]), body, &Nowhere);
    let block = closed.block.unwrap();
    assert_eq!((block.class, block.code, block.reason_code), (BlockClass::Fault, "policy_failed", FAILED));
    assert_eq!(closed.policies.len(), 1, "a block ends the chain");

    for harmless in [broken(PolicyMode::Shadow, true), broken(PolicyMode::Enforce, false)] {
        let open = inspect(&chain(vec![harmless, pii()]), body, &Nowhere);
        assert_eq!((open.verdict, open.block.clone()), (Verdict::Redact, None));
        assert_eq!(open.policies[0].reason_codes, [FAILED]);
    }

    let logger = chain(vec![broken(PolicyMode::Enforce, false)]);
    assert_eq!(logger.pass_output().block, None);
    assert_eq!(logger.unreadable("no").block, None);
}

#[test]
fn a_large_body_over_its_budget_is_not_passed_on() {
    let slow = Ticking::by(BUDGET);
    let large = body(200_000);
    for policy in [pii, injection] {
        let around = Ticking::by(BUDGET);
        let inspection = inspect(&chain(vec![policy(), logger()]), &large, &around);
        let block = inspection.block.unwrap();
        assert_eq!(
            (block.class, block.code, block.reason_code),
            (BlockClass::Violation, "input_blocked", EXCEEDED)
        );
        // the first look begins it, the second is at the limit, the third beyond
        assert_eq!(around.looks.load(Ordering::Relaxed), 3, "the rest of the body is left alone");
    }
    let mut shadowed = chain(vec![Box::new(Broken {
        kind: PolicyKind::PiiDetector,
        mode: PolicyMode::Shadow,
        fails_closed: true,
    })]);
    shadowed.budget = Duration::ZERO;
    let inspection = inspect(&shadowed, &large, &slow);
    assert_eq!((inspection.block, &*inspection.policies[0].reason_codes), (None, &[EXCEEDED][..]));
    let quick = Ticking::by(Duration::from_micros(1));
    assert_eq!(inspect(&chain(vec![pii(), injection()]), &large, &quick).block, None);
}

#[test]
fn a_small_body_is_not_timed() {
    let around = Ticking::by(BUDGET);
    let inspection = inspect(&chain(vec![pii(), injection(), pii()]), &body(16_000), &around);
    assert_eq!((inspection.block, around.looks.load(Ordering::Relaxed)), (None, 0));
}

#[test]
fn each_policy_is_told_its_time() {
    let step = Duration::from_micros(7);
    let around = Ticking::by(step);
    let inspection = inspect(&chain(vec![pii(), injection()]), &body(100), &around);
    let times: Vec<Duration> = inspection.policies.iter().map(|record| record.took).collect();
    assert_eq!((times, around.time.load(Ordering::Relaxed)), (vec![step; 2], 3));
}

/// One text of so many bytes under one policy, by what a look at the processor costs.
fn inspect_text(bytes: usize, step: Duration) -> (Option<&'static str>, u32) {
    let text = "1.1.1.1.".repeat(bytes / 8);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let around = Ticking::by(step);
    let inspection = inspect(&chain(vec![pii()]), body.as_bytes(), &around);
    (inspection.block.map(|block| block.reason_code), around.looks.load(Ordering::Relaxed))
}

#[test]
fn one_long_text_is_left_in_the_middle_and_what_took_too_long_does_not_count() {
    // begun, before the policy, and then within the text
    assert_eq!(inspect_text(300_000, BUDGET / 3), (Some(EXCEEDED), 5));
    assert_eq!(inspect_text(300_000, BUDGET / 100).0, None);
    // begun, before, and once the last policy is done
    assert_eq!(inspect_text(33_000, BUDGET * 2 / 3), (Some(EXCEEDED), 3));
}

#[test]
fn a_stream_has_one_budget() {
    let pushed = |event: &str, times: usize, step| {
        let around = std::sync::Arc::new(Ticking::by(step));
        let chain = std::sync::Arc::new(chain(vec![pii()]));
        let mut inspector = crate::StreamInspector::new(
            Endpoint::ChatCompletions,
            chain,
            std::sync::Arc::clone(&around) as _,
        );
        for _ in 0..times {
            let _ = inspector.push(bytes::Bytes::copy_from_slice(event.as_bytes()));
        }
        let block = inspector.finish().1.block;
        (block.map(|block| block.reason_code), around.looks.load(Ordering::Relaxed))
    };
    let event = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let large = event(&"word ".repeat(1000));
    assert_eq!(pushed(&large, 3, BUDGET / 100).0, None);
    assert_eq!(pushed(&large, 30, BUDGET / 10).0, Some(EXCEEDED));
    // in one event, and held until the end as it may be JSON
    for start in ["", "[\\\"1."] {
        let one = event(&format!("{start}{}", "1.1.".repeat(100_000)));
        let (reason, looks) = pushed(&one, 1, BUDGET / 3);
        assert_eq!(reason, Some(EXCEEDED));
        assert!(looks <= 8, "the rest of the text is left alone: {looks} looks");
    }
    assert_eq!(pushed(&event("word "), 1000, BUDGET), (None, 0), "what is small is not timed");
}

#[test]
fn what_cannot_be_redacted_is_blocked() {
    let file = r#"{"type":"file","file":{"file_data":"data:text/plain;base64,YUBiLm9yZw=="}}"#;
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{file}]}}]}}"#);
    let inspection = inspect(&chain(vec![pii()]), body.as_bytes(), &Nowhere);
    let block = inspection.block.unwrap();
    assert_eq!((block.code, block.reason_code, inspection.body), ("input_blocked", "pii.detected", None));
    assert_eq!(
        block.message,
        "Request blocked: a file in it holds what must not pass, and a file cannot be redacted"
    );
}
