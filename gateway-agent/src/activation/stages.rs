//! From bytes to an engine that may serve, a straight line: verify → lint → secrets → compile →
//! self-test. A failure names its stage, and nothing has changed. (The keep and the swap are the Activator's.)
//!
//! Costs CPU: run it on a blocking thread. It must not touch the live policy or the disk's ledger.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fleet_core::offer::{NackReason, Stage};
use policy_config::schema::PackVersion;
use policy_config::{ConfigDigest, Finding, PolicyConfig, PolicyDocument};
use policy_engine::Engine;

use super::secrets::{SecretRules, refusal};

/// A pack that passed every stage.
pub(super) struct Candidate {
    pub(super) engine: Engine,
    pub(super) config: PolicyConfig,
    pub(super) version: PackVersion,
    pub(super) digest: ConfigDigest,
    pub(super) source: Vec<u8>,
    pub(super) warnings: Vec<Finding>,
    /// A target's key is not on this host; only where that is allowed.
    pub(super) targets_down: Vec<Finding>,
    /// How long the stages took.
    pub(super) took: Duration,
}

/// A pack that did not.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: NackReason,
    /// As far as its bytes say.
    pub(super) version: Option<PackVersion>,
}

/// What a missing key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingSecrets {
    /// A new pack is refused.
    Refuse,
    /// At a start from disk its target is down, and the gateway serves.
    TargetDown,
}

/// Runs every stage up to the keep.
pub(super) fn prepare(
    source: Vec<u8>,
    expected: ConfigDigest,
    rules: &SecretRules,
    missing: MissingSecrets,
) -> Result<Candidate, Refused> {
    let started = Instant::now();
    let document = PolicyDocument::new(source);
    if document.digest() != expected {
        let reason = format!("the bytes have the digest {}, not {expected} as announced", document.digest());
        return Err(Refused::unread(refused(Stage::Verify, reason)));
    }
    check(&document, rules, missing, started).map_err(|reason| {
        let version = guarded(Stage::Lint, || Ok(document.version())).unwrap_or_default();
        Refused { reason, version }
    })
}

fn check(
    document: &PolicyDocument,
    rules: &SecretRules,
    missing: MissingSecrets,
    started: Instant,
) -> Result<Candidate, NackReason> {
    let (config, warnings) = guarded(Stage::Lint, || match document.parse() {
        (Some(config), report) => Ok((config, report.findings)),
        (None, report) => Err(lint_refusal(report.findings)),
    })?;
    let (secrets, targets_down) = guarded(Stage::Secrets, || {
        let mut resolved = rules.resolve(&config);
        document.locate(&mut resolved.missing);
        if resolved.missing.is_empty() || missing == MissingSecrets::TargetDown {
            Ok((resolved.secrets, resolved.missing))
        } else {
            Err(refusal(resolved.missing))
        }
    })?;
    let engine = guarded(Stage::Compile, || {
        Engine::compile(&config, secrets).map_err(|error| {
            let reason = error.to_string();
            let mut findings = error.findings;
            document.locate(&mut findings);
            NackReason { stage: Stage::Compile, reason, findings }
        })
    })?;
    guarded(Stage::SelfTest, || {
        engine.self_test().map_err(|error| refused(Stage::SelfTest, error.to_string()))
    })?;
    Ok(Candidate {
        engine,
        version: config.pack.version.clone(),
        config,
        digest: document.digest(),
        source: document.source().to_vec(),
        warnings,
        targets_down,
        took: started.elapsed(),
    })
}

// === impl Refused ===

impl Refused {
    /// Its bytes did not get as far as being read.
    pub(super) const fn unread(reason: NackReason) -> Self {
        Self { reason, version: None }
    }
}

pub(super) fn refused(stage: Stage, reason: impl Into<String>) -> NackReason {
    NackReason { stage, reason: reason.into(), findings: Vec::new() }
}

/// A defect in one stage refuses one pack; it does not end the gateway.
fn guarded<T>(stage: Stage, run: impl FnOnce() -> Result<T, NackReason>) -> Result<T, NackReason> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        tracing::error!(%stage, "a defect of this program stopped a stage; please report it with the pack");
        Err(refused(stage, "a defect of this gateway's version stopped this stage; its log has the details"))
    })
}

/// The first error in one line; all of them as data.
fn lint_refusal(findings: Vec<Finding>) -> NackReason {
    let first = findings.iter().find(|finding| finding.severity == policy_config::Severity::Error);
    let reason = first.map_or_else(
        || "the pack is not valid".to_owned(),
        |finding| {
            let place = finding.location;
            format!("{} at {}:{}: {}", finding.code, place.line, place.column, finding.message)
        },
    );
    NackReason { stage: Stage::Lint, reason, findings }
}
