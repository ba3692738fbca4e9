//! Reads `policies.chain` and joins it with the blocks of `policy`.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fields::{Field, Fields, suggest};
use super::settings::{self, Block};
use crate::lint::collector::{Collector, echo};
use crate::lint::rules;
use crate::location::Location;
use crate::schema::chain::PolicyKind;
use crate::schema::settings::{DEFAULT_BUDGET, PolicySettings};

/// Far above the number of kinds; a longer list is reported once, not entry by entry.
const MAX_CHAIN: usize = 100;
const BUDGETS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);

pub(super) fn read(
    field: &Field<'_>,
    blocks: Vec<Block>,
    findings: &mut Collector,
) -> Option<(Vec<PolicySettings>, Duration)> {
    let fields = Fields::of(field, &["chain", "budget"], findings)?;
    let budget =
        fields.get("budget").map_or(Some(DEFAULT_BUDGET), |field| field.duration_within(BUDGETS, findings));
    let chain = fields.required("chain", findings).and_then(|field| read_chain(&field, findings))?;
    for block in blocks.iter().filter(|block| chain.iter().all(|link| link.kind != block.kind)) {
        let message = format!("`policies.chain` does not name `{}`, so this block has no effect", block.kind);
        findings.add(
            rules::UNUSED_BLOCK,
            &block.path,
            block.at,
            message,
            "add it to the chain, or remove the block",
        );
    }
    let policies: Vec<Option<PolicySettings>> =
        chain.iter().map(|link| settings_of(link, &blocks, findings)).collect();
    warn_about_order(&chain, &policies, findings);
    let policies: Option<Vec<PolicySettings>> = policies.into_iter().collect();
    Some((policies?, budget?))
}

/// An entry of the chain, known and named once.
struct Link {
    kind: PolicyKind,
    path: String,
    at: Location,
}

fn read_chain(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<Link>> {
    let items = field.items("a list of policy kinds", MAX_CHAIN, findings)?;
    if items.is_empty() {
        let message = "`policies.chain` is empty: the gateway would be an open proxy";
        let suggestion = "name at least one policy, or set pack.enabled: false to stop serving";
        findings.add(rules::EMPTY_CHAIN, &field.path, field.node.at, message, suggestion);
        return None;
    }
    let mut first_at: HashMap<PolicyKind, Location> = HashMap::new();
    let mut links = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let field = field.item(index, item);
        let Some(kind) = read_kind(&field, findings) else { continue };
        if let Some(first) = first_at.get(&kind) {
            let message = format!("`{kind}` is in the chain already, at line {}", first.line);
            findings.add(
                rules::DUPLICATE_CHAIN_ENTRY,
                &field.path,
                item.at,
                message,
                "remove one of the two",
            );
            continue;
        }
        first_at.insert(kind, item.at);
        links.push(Link { kind, path: field.path, at: item.at });
    }
    Some(links)
}

fn read_kind(field: &Field<'_>, findings: &mut Collector) -> Option<PolicyKind> {
    let text = field.text(findings)?;
    let kind = PolicyKind::ALL.iter().copied().find(|kind| kind.as_str() == text);
    if kind.is_none() {
        report_unknown_kind(&text, &field.path, field.node.at, findings);
    }
    kind
}

pub(super) fn report_unknown_kind(text: &str, path: &str, at: Location, findings: &mut Collector) {
    let known: Vec<&str> = PolicyKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let message = format!("unknown policy kind {}; known: {}", echo(text), known.join(", "));
    findings.add(rules::UNKNOWN_KIND, path, at, message, suggest(text, &known));
}

fn settings_of(link: &Link, blocks: &[Block], findings: &mut Collector) -> Option<PolicySettings> {
    if let Some(block) = blocks.iter().find(|block| block.kind == link.kind) {
        return block.settings.clone();
    }
    let Some(defaults) = settings::defaults(link.kind) else {
        let path = format!("policy.{}", link.kind);
        let message = format!("`{path}` is required: nothing can be assumed about `{}`", link.kind);
        let suggestion = format!("add a block `{}:` under `policy`, or take it out of the chain", link.kind);
        findings.add(rules::MISSING_KEY, &path, link.at, message, suggestion);
        return None;
    };
    let message = format!("`{}` has no block under `policy`; its defaults apply", link.kind);
    let suggestion = format!("add `{}: {{}}` under `policy` to say that this is meant", link.kind);
    findings.add(rules::NO_BLOCK, &link.path, link.at, message, suggestion);
    Some(defaults)
}

/// A log with content, written before redaction, keeps what the redaction is there to remove.
fn warn_about_order(chain: &[Link], policies: &[Option<PolicySettings>], findings: &mut Collector) {
    let logs_content = |policy: &Option<PolicySettings>| matches!(policy, Some(PolicySettings::AuditLogger(logger)) if logger.include_content);
    let Some(logger) = policies.iter().position(logs_content) else { return };
    let redactor = chain.iter().position(|link| link.kind == PolicyKind::PiiDetector);
    if let (Some(link), Some(redactor)) = (chain.get(logger), redactor)
        && logger < redactor
    {
        let message = "`audit-logger` with include_content stands before `pii-detector`, so it sees what is redacted later";
        findings.add(rules::LOGS_BEFORE_REDACTION, &link.path, link.at, message, "put audit-logger last");
    }
}
