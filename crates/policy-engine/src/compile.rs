//! Every pattern of a pack is built here, once, with a size limit; none is built per request.

use std::time::Duration;

use policy_config::location::Location;
use policy_config::schema::{AuditLogger, PolicySettings};
use policy_config::{Finding, PolicyConfig, Severity};
use regex::{Regex, RegexBuilder};

use crate::chain::Chain;
use crate::policies::Policy;
use crate::policies::audit_logger::AuditLoggerPolicy;
use crate::policies::dlp_filter::DlpFilterPolicy;
use crate::policies::model_access::ModelAccessPolicy;
use crate::policies::pii_detector::PiiDetectorPolicy;
use crate::policies::prompt_injection::PromptInjectionPolicy;
use crate::policies::rate_limit::RateLimitPolicy;

/// Why a pack that lint accepted cannot be compiled here; every reason at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} of the pack's policies cannot be compiled: {}", findings.len(), summary(findings))]
pub struct CompileError {
    /// Codes `C001` (pattern) and `C002` (marker); places are paths, as the file is gone by now.
    pub findings: Vec<Finding>,
}

/// Memory that one pattern of a pack may take when compiled.
const PATTERN_LIMIT: usize = 1 << 20;
/// Memory for the search cache of one pattern.
const CACHE_LIMIT: usize = 2 << 20;

/// The chain of a pack.
pub(crate) fn chain_of(config: &PolicyConfig) -> Result<Chain, CompileError> {
    let targets = &config.providers.targets;
    let targets: Vec<_> = targets.iter().map(|target| (target.id.0.clone(), target.model.clone())).collect();
    build(&config.policies, &targets, config.budget)
}

/// A chain without a pack around it.
#[cfg(test)]
pub(crate) fn chain(policies: &[PolicySettings]) -> Result<Chain, CompileError> {
    build(policies, &[], Duration::MAX)
}

/// `targets`: id and model of each.
fn build(
    policies: &[PolicySettings],
    targets: &[(String, String)],
    budget: Duration,
) -> Result<Chain, CompileError> {
    let mut findings = Vec::new();
    let mut compiled: Vec<Box<dyn Policy>> = Vec::new();
    for settings in policies {
        match settings {
            PolicySettings::PromptInjection(settings) => match PromptInjectionPolicy::compile(settings) {
                Ok(policy) => compiled.push(Box::new(policy)),
                Err(found) => findings.extend(found),
            },
            PolicySettings::PiiDetector(settings) => match PiiDetectorPolicy::compile(settings) {
                Ok(policy) => compiled.push(Box::new(policy)),
                Err(found) => findings.extend(found),
            },
            PolicySettings::DlpFilter(settings) => match DlpFilterPolicy::compile(settings) {
                Ok(policy) => compiled.push(Box::new(policy)),
                Err(found) => findings.extend(found),
            },
            PolicySettings::RateLimit(settings) => {
                compiled.push(Box::new(RateLimitPolicy::compile(settings)))
            }
            PolicySettings::ModelAccess(settings) => {
                compiled.push(Box::new(ModelAccessPolicy::compile(settings, targets)));
            }
            PolicySettings::AuditLogger(settings) => {
                compiled.push(Box::new(AuditLoggerPolicy::compile(settings)));
            }
        }
    }
    if findings.is_empty() { Ok(Chain::new(compiled, budget)) } else { Err(CompileError { findings }) }
}

/// The settings of the chain's `audit-logger`.
pub(crate) fn audit(policies: &[PolicySettings]) -> Option<AuditLogger> {
    policies.iter().find_map(|settings| match settings {
        PolicySettings::AuditLogger(settings) => Some(settings.clone()),
        _ => None,
    })
}

/// A pattern that the pack's author wrote.
pub(crate) fn pattern(source: &str, path: &str) -> Result<Regex, Finding> {
    RegexBuilder::new(source).size_limit(PATTERN_LIMIT).dfa_size_limit(CACHE_LIMIT).build().map_err(|error| {
        let (message, suggestion) = match error {
            regex::Error::CompiledTooBig(limit) => (
                format!("this pattern takes more than {} KiB when compiled", limit / 1024),
                "lower its repetition counts or split it".to_owned(),
            ),
            error => (
                format!("this pattern does not compile: {}", last_line(&error.to_string())),
                "use the syntax of Rust's regex crate; look-around and back-references do not exist"
                    .to_owned(),
            ),
        };
        finding("C001", path, message, suggestion)
    })
}

pub(crate) fn finding(code: &str, path: &str, message: String, suggestion: String) -> Finding {
    Finding {
        code: code.to_owned(),
        severity: Severity::Error,
        path: path.to_owned(),
        location: Location::default(),
        message,
        suggestion,
    }
}

/// The regex crate draws the pattern over several lines and says what is wrong in the last.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

fn summary(findings: &[Finding]) -> String {
    findings.first().map(|first| format!("{}: {}", first.path, first.message)).unwrap_or_default()
}
