//! Changes between two versions of a pack that deserve a second look before a fleet gets them.
//!
//! Errors here are not mistakes in the file: they ask for an explicit "yes" (`--accept-risk`).

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::collector::Collector;
use super::report::{Finding, LintReport, Severity};
use super::rules;
use crate::canonical::canonical;
use crate::diff::diff;
use crate::location::Location;
use crate::schema::chain::{PolicyKind, PolicyMode};
use crate::schema::providers::SecretKeyRef;
use crate::schema::{PolicyConfig, PolicySettings};

/// Kinds that protect; taking one away opens the gateway.
const GUARDS: &[PolicyKind] = &[
    PolicyKind::PromptInjection,
    PolicyKind::PiiDetector,
    PolicyKind::DlpFilter,
    PolicyKind::RateLimit,
    PolicyKind::ModelAccess,
];

/// Dangerous changes from `old` to `new`, judged by what they say. Findings have a path in the new file, and no place
/// until `PolicyDocument::locate` gives them one.
pub fn lint_change(old: &PolicyConfig, new: &PolicyConfig) -> LintReport {
    let mut findings = Collector::default();
    for guard in GUARDS {
        compare_guard(*guard, old, new, &mut findings);
    }
    compare_hosts(old, new, &mut findings);
    if old.pack.version == new.pack.version && canonical(old) != canonical(new) {
        let message = format!("the content changes and pack.version stays {}", new.pack.version);
        let suggestion = "raise pack.version, so that history tells the two apart by name";
        add(&mut findings, rules::VERSION_NOT_BUMPED, "pack.version", message, suggestion);
    }
    findings.finish()
}

/// What is said, and never refused, when a gateway loads `new` over the `old` that it runs. As with [`lint_change`],
/// findings have no place yet.
pub fn lint_load(old: &PolicyConfig, new: &PolicyConfig) -> LintReport {
    let mut findings = Collector::default();
    if new.pack.version < old.pack.version {
        let message = format!("pack.version goes down from {} to {}", old.pack.version, new.pack.version);
        let suggestion = "to go back to a pack that ran here, use `kt gateway revert`";
        add(&mut findings, rules::VERSION_LOWERED, "pack.version", message, suggestion);
    }
    if diff(old, new).is_empty() {
        let message = "no effective change: only the form of the file is another".to_owned();
        add(&mut findings, rules::NO_EFFECT, "pack.version", message, "");
    }
    let mut report = findings.finish();
    report.findings.extend(lint_change(old, new).findings.into_iter().filter(is_warning));
    report
}

/// A pack whose source at least doubles, in bytes.
pub fn lint_growth(old_bytes: usize, new_bytes: usize) -> LintReport {
    let mut findings = Collector::default();
    if old_bytes > 0 && new_bytes >= old_bytes.saturating_mul(2) {
        let message = format!("the pack grows from {old_bytes} to {new_bytes} bytes");
        add(&mut findings, rules::SIZE_DOUBLED, "", message, "check that nothing was pasted in by accident");
    }
    findings.finish()
}

fn compare_guard(guard: PolicyKind, old: &PolicyConfig, new: &PolicyConfig, findings: &mut Collector) {
    let mode = |config: &PolicyConfig| {
        config.policies.iter().find(|policy| policy.kind() == guard).map(PolicySettings::mode)
    };
    match (mode(old), mode(new)) {
        (Some(_), None) => {
            let message = format!("`{guard}` leaves the chain; nothing does its work any more");
            add(findings, rules::GUARD_REMOVED, "policies.chain", message, "keep it, or accept the risk");
        }
        (Some(PolicyMode::Enforce), Some(PolicyMode::Shadow)) => {
            let message = format!("`{guard}` goes from enforce to shadow; it records and changes nothing");
            let path = format!("policy.{guard}.mode");
            add(findings, rules::GUARD_SHADOWED, &path, message, "keep it enforcing, or accept the risk");
        }
        _ => {}
    }
}

fn compare_hosts(old: &PolicyConfig, new: &PolicyConfig, findings: &mut Collector) {
    let known = hosts_by_secret(old);
    let mut told = BTreeSet::new();
    for (index, target) in new.providers.targets.iter().enumerate() {
        let Some(secret) = &target.secret_key_ref else { continue };
        let Some(known_hosts) = known.get(secret) else { continue };
        let host = host_of(&target.base_url);
        if !known_hosts.contains(&host) && told.insert((secret, host.clone())) {
            let before: Vec<&str> = known_hosts.iter().map(String::as_str).collect();
            let message = format!(
                "the secret {secret} was sent to {} and now goes to {host} as well or instead",
                before.join(", ")
            );
            let path = format!("providers.targets[{index}].base_url");
            add(
                findings,
                rules::SECRET_TO_NEW_HOST,
                &path,
                message,
                "use a secret of its own for a new host, or accept the risk",
            );
        }
    }
}

fn hosts_by_secret(config: &PolicyConfig) -> BTreeMap<&SecretKeyRef, BTreeSet<String>> {
    let mut hosts: BTreeMap<&SecretKeyRef, BTreeSet<String>> = BTreeMap::new();
    for target in &config.providers.targets {
        if let Some(secret) = &target.secret_key_ref {
            hosts.entry(secret).or_default().insert(host_of(&target.base_url));
        }
    }
    hosts
}

/// Scheme, host and port: a key that goes out in the clear has a new audience as well.
fn host_of(base_url: &str) -> String {
    Url::parse(base_url).map_or_else(|_| base_url.to_owned(), |url| url.origin().ascii_serialization())
}

fn is_warning(finding: &Finding) -> bool {
    finding.severity == Severity::Warning
}

fn add(findings: &mut Collector, rule: rules::Rule, path: &str, message: String, suggestion: &str) {
    findings.add(rule, path, Location::default(), message, suggestion);
}
