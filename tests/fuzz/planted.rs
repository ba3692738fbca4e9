//! The net has no holes: for each property a planted bug, which the same engine must find in the time that a test
//! has. A bug stands where the product's own function stood, and spoils its answer.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy_config::PolicyDocument;
use policy_engine::{Endpoint, Engine, Inspection, JsonError, Nowhere, RequestError, read_golden};
use proto::WireError;
use proto::convert::hello::HelloMessage;
use proto::convert::reports::ReportMessage;

use crate::chat::EMAIL;
use crate::engine::{Kind, Plan, Target, Watch, hunt};
use crate::golden::Golden;
use crate::http_body::HttpBody;
use crate::sse::{self, Sse};
use crate::standing::{self, Standing};
use crate::wire::Wire;
use crate::yaml::Yaml;

/// Long enough on any machine; a bug that is found takes a fraction of it.
const TIME: Duration = Duration::from_secs(30);

/// The bug is found, in this way and by this property.
fn caught(bug: &str, target: impl Target, kind: Kind, property: &str) {
    let plan = Plan { seed: 1, time: TIME, patience: Duration::from_secs(10), only: None, traced: false };
    let failure = hunt(target, &plan).expect_err(bug);
    assert!(failure.kind == kind && failure.what.starts_with(property), "{bug}: {failure:?}");
    println!("{bug}: input {} of seed 1, {} bytes in the end", failure.iteration, failure.input.len());
}

/// As much work as this many steps of a scan; an optimised build takes them faster.
fn scan(steps: usize) {
    let steps = if cfg!(debug_assertions) { steps } else { steps * 24 };
    for at in 0..steps {
        std::hint::black_box(at);
    }
}

/// The bug takes too long on a large input, or longer than anybody waits for it.
fn caught_late(bug: &str, target: impl Target) {
    let plan = Plan { seed: 1, time: TIME, patience: Duration::from_secs(3), only: None, traced: false };
    let failure = hunt(target, &plan).expect_err(bug);
    let late = matches!(failure.kind, Kind::Slow | Kind::Stall) && failure.input.len() > 16 * 1024;
    assert!(late, "{bug}: {failure:?}");
    println!("{bug}: input {} of seed 1, {} bytes", failure.iteration, failure.input.len());
}

#[test]
fn planted_in_yaml() {
    let bug = Yaml {
        parse: |source| {
            let parsed = PolicyDocument::new(source).parse();
            let far = parsed.1.findings.iter().any(|one| one.code == "E027" && one.location.column > 20);
            assert!(!far, "a tag far to the right");
            parsed
        },
        ..Yaml::default()
    };
    caught("a panic on a nested tag", bug, Kind::Panic, "a tag far to the right");

    let bug = Yaml {
        parse: |source| {
            let mut parsed = PolicyDocument::new(source).parse();
            let lines: Vec<&str> = std::str::from_utf8(source).unwrap_or_default().lines().collect();
            for finding in &mut parsed.1.findings {
                let line = lines.get((finding.location.line as usize).wrapping_sub(1)).unwrap_or(&"");
                if finding.code == "E002" {
                    finding.message =
                        line.chars().filter(|c| !c.is_control()).take(900).chain(['!']).collect();
                }
            }
            parsed
        },
        ..Yaml::default()
    };
    caught("a message that quotes its line", bug, Kind::Property, "no secret is repeated");

    let bug = Yaml {
        excerpt: |source, finding| {
            let mut excerpt = policy_config::lint::excerpt::excerpt(source, finding)?;
            let line = std::str::from_utf8(source).ok()?.lines().nth(excerpt.line as usize - 1)?;
            excerpt.text = line.chars().filter(|c| !c.is_control()).take(160).collect();
            Some(excerpt)
        },
        ..Yaml::default()
    };
    caught("an excerpt that masks nothing", bug, Kind::Property, "no secret is repeated");

    let bug = Yaml { masked: |source, _| source.to_owned(), ..Yaml::default() };
    caught("a source shown as it is", bug, Kind::Property, "no secret is shown");

    let bug = Yaml {
        parse: |source| {
            let mut parsed = PolicyDocument::new(source).parse();
            parsed
                .1
                .findings
                .iter_mut()
                .filter(|one| one.code == "E023")
                .for_each(|one| one.location.line += 1);
            parsed
        },
        ..Yaml::default()
    };
    caught("a syntax error told one line too low", bug, Kind::Property, "a line of the file");

    let bug = Yaml {
        canonical: |config| {
            policy_config::canonical::canonical(config).replacen("pci_mode: false", "pci_mode: true", 1)
        },
        ..Yaml::default()
    };
    caught("a setting lost in the canonical form", bug, Kind::Property, "the canonical form says the same");

    static CALLS: AtomicU64 = AtomicU64::new(0);
    let bug = Yaml {
        parse: |source| {
            let mut parsed = PolicyDocument::new(source).parse();
            if parsed.1.findings.len() > 3 && CALLS.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
                parsed.1.findings.swap(0, 2);
            }
            parsed
        },
        ..Yaml::default()
    };
    caught("findings in an order of chance", bug, Kind::Property, "the same bytes, the same answer");
}

#[test]
fn planted_in_golden() {
    let bug = Golden {
        read: |source| {
            let (mut cases, report) = read_golden(source);
            for case in cases.iter_mut().flatten() {
                case.messages = case.messages.replace("null", "\"\"");
            }
            (cases, report)
        },
        ..Golden::default()
    };
    caught("a null that becomes a text", bug, Kind::Property, "a case says what its file says");

    let bug = Golden {
        run: |engine, case| {
            let mut outcome = engine.run_case(case)?;
            outcome.passed = case.expected.verdict.as_str() == outcome.verdict.as_str();
            Ok(outcome)
        },
        ..Golden::default()
    };
    caught("a reason that nobody compares", bug, Kind::Property, "passed exactly when");

    let bug = Golden { masked: |source, _| source.to_owned(), ..Golden::default() };
    caught("a source shown as it is", bug, Kind::Property, "no secret is shown");
}

#[test]
fn planted_in_wire() {
    let bug = Wire {
        duration: |field, wire| {
            let seconds =
                if wire.seconds < 0 { wire.seconds.checked_neg().expect("overflow") } else { wire.seconds };
            proto::convert::scalars::duration(field, prost_types::Duration { seconds, ..wire })
        },
        ..Wire::default()
    };
    caught("the least number negated", bug, Kind::Panic, "overflow");

    let bug = Wire {
        report: |wire| {
            let mut report = ReportMessage::try_from(wire)?;
            std::mem::swap(&mut report.timings.validate, &mut report.timings.activate);
            Ok(report)
        },
        ..Wire::default()
    };
    caught("two fields changed over", bug, Kind::Property, "what converts, converts back");

    let bug = Wire {
        hello: |wire| {
            let version = wire.agent_version.chars().filter(|c| !c.is_control()).take(30).collect::<String>();
            HelloMessage::try_from(wire).map_err(|WireError { field, problem }| {
                WireError::new(field, format!("{problem}: {version}"))
            })
        },
        ..Wire::default()
    };
    caught("an error that holds a value", bug, Kind::Property, "an error never holds the value");

    let bug = Wire {
        hello: |wire| HelloMessage::try_from(wire).map_err(|error| WireError::new("helo", error.problem)),
        ..Wire::default()
    };
    caught("an error about no field", bug, Kind::Property, "an error names a field");
}

#[test]
fn planted_in_http_body() {
    let bug = HttpBody {
        request: |engine, endpoint, body| match engine.inspect_request(endpoint, body, &Nowhere) {
            Err(RequestError::Json(JsonError::DuplicateKey { .. })) => Ok(Inspection::default()),
            asked => asked,
        },
        ..HttpBody::default()
    };
    caught("a key that may stand twice", bug, Kind::Property, "we read what is JSON");

    let bug = HttpBody {
        request: |engine, endpoint, body| {
            let mut asked = engine.inspect_request(endpoint, body, &Nowhere)?;
            asked.body = asked.body.map(|body| body.trim_ascii().to_vec());
            Ok(asked)
        },
        ..HttpBody::default()
    };
    caught("white space lost in a splice", bug, Kind::Property, "every byte outside of strings is kept");

    let bug = HttpBody {
        request: |engine, endpoint, body| {
            let asked = engine.inspect_request(endpoint, body, &Nowhere)?;
            let hidden = body.windows(6).any(|part| part == b"\"name\"");
            let passed = Inspection { policies: asked.policies.clone(), ..Inspection::default() };
            Ok(if hidden && asked.block.is_none() { passed } else { asked })
        },
        ..HttpBody::default()
    };
    caught("a key that hides words", bug, Kind::Property, "no address leaves");

    let bug = HttpBody {
        answer: |engine, endpoint, body| {
            let mut answered = engine.inspect_response(endpoint, body, &Nowhere);
            answered.body = answered.body.map(|body| {
                String::from_utf8_lossy(&body).replacen("[PHONE]", "+1 415 555 2671", 1).into_bytes()
            });
            answered
        },
        ..HttpBody::default()
    };
    caught("a redaction that is not complete", bug, Kind::Property, "");
}

#[test]
fn planted_in_sse() {
    let bug = Sse {
        feed: |engine, endpoint, parts| {
            // a `\n` that begins a part is a line end of its own
            let parts: Vec<Vec<u8>> = parts
                .iter()
                .map(|part| if part.starts_with(b"\n") { [b"\n", *part].concat() } else { part.to_vec() })
                .collect();
            sse::feed(engine, endpoint, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
        },
        ..Sse::default()
    };
    caught("a line end cut in two", bug, Kind::Property, "the cut of the bytes does not matter");

    let bug = Sse { feed: event_by_event, ..Sse::default() };
    caught("texts redacted event by event", bug, Kind::Property, "what leaves is the whole text redacted");

    let bug = Sse {
        feed: |engine, endpoint, parts| {
            let mut streamed = sse::feed(engine, endpoint, parts);
            let whole = parts.concat();
            if whole.windows(EMAIL.len()).any(|part| part == EMAIL.as_bytes())
                && streamed.inspection.block.is_none()
            {
                streamed.out = whole;
            }
            streamed
        },
        ..Sse::default()
    };
    caught("a stream passed on as it was", bug, Kind::Property, "no address leaves");

    let bug = Sse {
        feed: |engine, endpoint, parts| {
            let mut streamed = sse::feed(engine, endpoint, parts);
            if streamed.inspection.block.is_some() {
                streamed.out.extend_from_slice(b"data: [DONE]\n\n");
            }
            streamed
        },
        ..Sse::default()
    };
    caught("an end after the end", bug, Kind::Property, "an error event exactly when blocked, and the last");
}

fn event_by_event(engine: &Engine, endpoint: Endpoint, parts: &[&[u8]]) -> sse::Streamed {
    let whole = sse::feed(engine, endpoint, parts);
    let (mut out, source) = (Vec::new(), parts.concat());
    let Ok(text) = std::str::from_utf8(&source) else { return whole };
    if whole.inspection.block.is_some() || whole.out == source {
        return whole;
    }
    for event in text.split_inclusive("\n\n") {
        out.extend(sse::feed(engine, endpoint, &[event.as_bytes()]).out);
    }
    sse::Streamed { out, ..whole }
}

#[test]
fn planted_in_standing() {
    let bug = Standing {
        load: |ledger, dir| {
            let path = dir.join("standing.json");
            let file = fs::read(&path).unwrap();
            let content = serde_json::from_slice::<standing::Envelope>(&file).ok();
            if let Some(envelope) = content {
                fs::write(&path, standing::sealed(envelope.standing.get().as_bytes())).unwrap();
            }
            ledger.load()
        },
        ..Standing::default()
    };
    caught("a checksum that nobody compares", bug, Kind::Property, "what was touched is refused");

    let bug = Standing {
        load: |ledger, _| {
            let mut found = ledger.load();
            found.record.pinned &= found.record.unconfirmed.is_none();
            found
        },
        ..Standing::default()
    };
    caught("a field that is not read", bug, Kind::Property, "what was written is read back");

    let bug = Standing {
        keep: |ledger, record| {
            let mut record = record.clone();
            record.kept.truncate(1);
            ledger.keep_record(&record)
        },
        ..Standing::default()
    };
    caught(
        "packs that are not written",
        bug,
        Kind::Property,
        "what was read is written and read to the same",
    );

    let bug = Standing {
        load: |ledger, _| {
            let found = ledger.load();
            assert!(
                found.record.highest.is_none_or(|highest| highest.0.checked_add(1).is_some()),
                "one more than the most"
            );
            found
        },
        ..Standing::default()
    };
    caught("a generation counted on", bug, Kind::Panic, "one more than the most");
}

#[test]
fn planted_slowness() {
    let bug = Yaml {
        parse: |source| {
            scan(source.len() * source.windows(2).filter(|pair| *pair == b": ").count());
            PolicyDocument::new(source).parse()
        },
        ..Yaml::default()
    };
    caught_late("the file read from the top for each key", bug);

    let bug = HttpBody {
        answer: |engine, endpoint, body| {
            scan(body.len() * body.iter().filter(|byte| **byte == b'"').count());
            engine.inspect_response(endpoint, body, &Nowhere)
        },
        ..HttpBody::default()
    };
    caught_late("the body read from the top for each string", bug);
}

#[test]
fn planted_stall() {
    let bug = Yaml {
        parse: |source| {
            while source.starts_with(b"---") {
                std::thread::park();
            }
            PolicyDocument::new(source).parse()
        },
        ..Yaml::default()
    };
    let plan = Plan { seed: 1, time: TIME, patience: Duration::from_secs(2), only: None, traced: false };
    let failure = hunt(bug, &plan).expect_err("an input without an answer");
    assert!(failure.kind == Kind::Stall && failure.input.starts_with(b"---"), "{failure:?}");
}

#[test]
fn a_run_that_meets_too_little_has_a_hole() {
    let bug = Yaml { parse: |_| PolicyDocument::new("").parse(), ..Yaml::default() };
    let plan = Plan { seed: 1, time: Duration::ZERO, patience: TIME, only: None, traced: false };
    let failure = hunt(bug, &plan).expect_err("one answer to everything");
    assert!(failure.kind == Kind::Hole && failure.what.contains("E001"), "{failure:?}");
}

/// Says yes to everything and remembers what it was asked.
struct Recorder(Arc<Mutex<Vec<Vec<u8>>>>);

impl Target for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![b"one: 1\n".to_vec(), b"two: 22222\n".to_vec()]
    }

    fn tokens(&self) -> &'static [&'static [u8]] {
        &[b"three", b"\xff"]
    }

    fn generate(&self, rng: &mut fastrand::Rng) -> Vec<u8> {
        format!("four: {}\n", rng.u8(..)).into_bytes()
    }

    fn check(&mut self, input: &[u8], _: &mut Watch) -> Result<String, String> {
        self.0.lock().unwrap().push(input.to_vec());
        Ok(input.len().to_string())
    }

    fn must_meet(&self) -> &'static [&'static str] {
        &[]
    }
}

fn questions(seed: u64) -> Vec<Vec<u8>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let plan = Plan { seed, time: Duration::ZERO, patience: TIME, only: None, traced: false };
    hunt(Recorder(Arc::clone(&asked)), &plan).expect("a target that accepts everything");
    asked.lock().unwrap().clone()
}

#[test]
fn a_seed_asks_the_same_questions_and_another_seed_others() {
    let asked = questions(7);
    assert_eq!(asked, questions(7));
    assert_ne!(asked, questions(8));
    assert_eq!(asked[..2], [b"one: 1\n".to_vec(), b"two: 22222\n".to_vec()], "the corpus comes first");
    let (small, large): (Vec<_>, Vec<_>) = asked.iter().partition(|input| input.len() <= 4096);
    assert!(small.len() > 200 && large.len() >= 2, "{} small, {} large", small.len(), large.len());
}
