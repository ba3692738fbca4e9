//! `engine`: CPU time of one inspection and of a compilation, in this process, beside what it costs to look at the same
//! bytes at all: a scan for a byte that is not there, and a JSON reader that keeps nothing.

mod bodies;

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, anyhow};
use nix::time::{ClockId, clock_gettime};
use policy_config::{PolicyConfig, PolicyDocument};
use policy_engine::{Endpoint, Engine, Nowhere, Secrets};

use crate::say;

const PACK: &str = r"
pack: {name: bench, version: 0.1.0, enabled: true}
providers:
  targets:
    - {id: primary, provider: openai, model: 'gpt-*', base_url: https://api.openai.com, secret_key_ref: {env: KEY}}
policies: {chain: [prompt-injection, pii-detector, audit-logger]}
policy:
  prompt-injection: {response: {action: block, message: blocked}}
  pii-detector: {action: redact}
  audit-logger: {}
";
/// Of one figure; the best of them is shown, as all that else runs only adds.
const SAMPLES: usize = 9;
const SAMPLE: Duration = Duration::from_millis(25);
/// Patterns that fill a pack of the greatest size.
const OWN_PATTERNS: usize = 500;

pub(crate) fn run() -> anyhow::Result<()> {
    let config = read(PACK)?;
    let compile = || Engine::compile(&config, Secrets::new()).map_err(|error| anyhow!("{error}"));
    let before = cpu()?;
    let engine = compile()?;
    let first = cpu()? - before;
    engine.self_test().map_err(|error| anyhow!("{error}"))?;
    let tested = cpu()? - before;
    let again = measure(|| drop(black_box(compile())))?;
    say(&format!(
        "compile: first {:.2} ms ({:.2} ms with its self-test), again {:.3} ms",
        ms(first),
        ms(tested),
        again / 1e3
    ));
    let large = large_pack();
    let config = read(&large)?;
    let before = cpu()?;
    drop(black_box(Engine::compile(&config, Secrets::new())));
    say(&format!("compile: pack of {} KiB in {:.1} ms", large.len() / 1024, ms(cpu()? - before)));

    let bare = read(&PACK.replace("prompt-injection, pii-detector, ", ""))?;
    let bare = Engine::compile(&bare, Secrets::new()).map_err(|error| anyhow!("{error}"))?;
    say(
        "CPU µs per inspection, and what of it the policies cost over a chain that only writes down; beside it a scan of \
         the body for one byte, and serde_json reading it into nothing:",
    );
    for body in bodies::all() {
        let bytes = body.bytes.as_slice();
        let verdict = engine.inspect_request(Endpoint::ChatCompletions, bytes, &Nowhere);
        let verdict = verdict.map(|inspection| inspection.verdict.as_str()).unwrap_or("refused");
        let cost = |engine: &Engine| {
            measure(|| drop(black_box(engine.inspect_request(Endpoint::ChatCompletions, bytes, &Nowhere))))
        };
        report(body.name, verdict, bytes, cost(&engine)?, cost(&bare)?)?;
    }
    let answer = bodies::answer(500);
    let cost = |engine: &Engine| {
        measure(|| drop(black_box(engine.inspect_response(Endpoint::ChatCompletions, &answer, &Nowhere))))
    };
    report("answer, 500 B", "allow", &answer, cost(&engine)?, cost(&bare)?)
}

fn report(name: &str, verdict: &str, bytes: &[u8], ours: f64, bare: f64) -> anyhow::Result<()> {
    let scan = measure(|| {
        black_box(memchr::memchr(black_box(0), bytes));
    })?;
    let json = measure(|| drop(black_box(serde_json::from_slice::<serde::de::IgnoredAny>(bytes))))?;
    say(&format!(
        "{name:<28} {verdict:<8} {ours:>9.2}  policies {:>9.2}   scan {scan:>7.2} ({:>6.1}x)   serde_json {json:>7.2} ({:>5.1}x)",
        ours - bare,
        ours / scan,
        ours / json
    ));
    Ok(())
}

fn read(pack: &str) -> anyhow::Result<PolicyConfig> {
    let (config, report) = PolicyDocument::new(pack).parse();
    config.with_context(|| format!("{:?}", report.findings))
}

/// As many own patterns as a pack may hold.
fn large_pack() -> String {
    let patterns: String =
        (0..OWN_PATTERNS).map(|at| format!("      - 'project[ -](?:falcon|heron)-{at:04} leak'\n")).collect();
    PACK.replace(
        "  prompt-injection: {response: {action: block, message: blocked}}\n",
        &format!(
            "  prompt-injection:\n    response: {{action: block, message: blocked}}\n    detection:\n      attack_patterns:\n{}",
            patterns.replace("      - ", "        - ")
        ),
    )
}

/// CPU µs of one call.
fn measure(mut call: impl FnMut()) -> anyhow::Result<f64> {
    let mut calls = 1_u32;
    loop {
        let before = cpu()?;
        (0..calls).for_each(|_| call());
        if cpu()? - before >= SAMPLE || calls > 1 << 28 {
            break;
        }
        calls *= 2;
    }
    let mut best = f64::MAX;
    for _ in 0..SAMPLES {
        let before = cpu()?;
        (0..calls).for_each(|_| call());
        best = best.min((cpu()? - before).as_secs_f64() * 1e6 / f64::from(calls));
    }
    Ok(best)
}

/// What this thread has used of the processor.
fn cpu() -> anyhow::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?))
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
