//! Reads `policy.model-access`.

use super::super::fields::{Field, Fields, suggest};
use super::{read_consumer_header, read_mode};
use crate::lint::collector::{Collector, echo};
use crate::lint::rules;
use crate::schema::Providers;
use crate::schema::settings::{Access, AccessRule, ModelAccess, NameFilter};
use crate::tree::NodeKind;

const MAX_RULES: usize = 200;
const MAX_NAMES: usize = 200;
const MAX_NAME: usize = 200;

pub(super) fn read(field: &Field<'_>, findings: &mut Collector) -> Option<ModelAccess> {
    const DEFAULTS: &[(&str, Access)] = &[("allow", Access::Allow), ("deny", Access::Deny)];
    let fields = Fields::of(field, &["mode", "consumer_header", "default", "rules"], findings)?;
    let mode = read_mode(&fields, findings);
    let consumer_header = read_consumer_header(&fields, findings);
    let default =
        fields.get("default").map_or(Some(Access::default()), |field| field.choice(DEFAULTS, findings));
    let rules = fields.required("rules", findings).and_then(|field| read_rules(&field, findings));
    Some(ModelAccess { mode: mode?, consumer_header: consumer_header?, default: default?, rules: rules? })
}

/// A name of a target that there is not: mostly a misspelled one, and then the rule says something else than was meant.
pub(super) fn warn_about_targets(field: &Field<'_>, providers: &Providers, findings: &mut Collector) {
    let ids: Vec<&str> = providers.targets.iter().map(|target| target.id.0.as_str()).collect();
    for list in target_lists(field) {
        let NodeKind::Sequence(items) = &list.node.kind else { continue };
        for (index, node) in items.iter().enumerate() {
            let Some(scalar) = node.as_scalar() else { continue };
            if ids.iter().any(|id| covers(&scalar.text, id)) {
                continue;
            }
            let path = list.item(index, node).path;
            let message = format!("no target of this pack is called {}", echo(&scalar.text));
            let shown: Vec<&str> = ids.iter().copied().take(20).collect();
            findings.add(rules::UNKNOWN_NAME, &path, node.at, message, suggest(&scalar.text, &shown));
        }
    }
}

fn target_lists<'t>(field: &Field<'t>) -> Vec<Field<'t>> {
    let Some(rules) = child(field, "rules") else { return Vec::new() };
    let NodeKind::Sequence(items) = &rules.node.kind else { return Vec::new() };
    let targets =
        items.iter().enumerate().filter_map(|(index, node)| child(&rules.item(index, node), "targets"));
    targets.flat_map(|targets| [child(&targets, "allow"), child(&targets, "deny")]).flatten().collect()
}

fn child<'t>(field: &Field<'t>, key: &str) -> Option<Field<'t>> {
    let NodeKind::Mapping(entries) = &field.node.kind else { return None };
    let entry = entries.iter().find(|entry| entry.key == key)?;
    Some(Field { path: format!("{}.{key}", field.path), node: &entry.value })
}

fn read_rules(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<AccessRule>> {
    let items = field.items("a list of rules", MAX_RULES, findings)?;
    if items.is_empty() {
        let message = format!("`{}` needs at least one rule", field.path);
        return field.bad_value(message, "write {consumers: [team-a], models: {allow: [gpt-*]}}", findings);
    }
    let mut rules: Vec<AccessRule> = Vec::new();
    for (index, node) in items.iter().enumerate() {
        let field = field.item(index, node);
        if let Some(rule) = read_rule(&field, findings) {
            warn_about_hidden(&rule, &rules, &field, findings);
            rules.push(rule);
        }
    }
    (rules.len() == items.len()).then_some(rules)
}

fn read_rule(field: &Field<'_>, findings: &mut Collector) -> Option<AccessRule> {
    let fields = Fields::of(field, &["consumers", "models", "targets"], findings)?;
    let consumers = fields.required("consumers", findings).and_then(|field| {
        let names = read_names(&field, findings)?;
        if names.is_empty() {
            let message = format!("`{}` names nobody", field.path);
            return field.bad_value(message, "name a consumer, or `*` for all", findings);
        }
        Some(names)
    });
    let mut filter = |key: &str| {
        let field = fields.get(key);
        field.map_or(Some(NameFilter::default()), |field| read_filter(&field, findings))
    };
    let (models, targets) = (filter("models"), filter("targets"));
    Some(AccessRule { consumers: consumers?, models: models?, targets: targets? })
}

fn read_filter(field: &Field<'_>, findings: &mut Collector) -> Option<NameFilter> {
    let fields = Fields::of(field, &["allow", "deny"], findings)?;
    let NameFilter { allow, deny } = NameFilter::default();
    let mut names =
        |key: &str, default| fields.get(key).map_or(Some(default), |field| read_names(&field, findings));
    let (allow, deny) = (names("allow", allow), names("deny", deny));
    // it would be read as "nothing" by one and as "anything" by another
    if allow.as_ref().is_some_and(Vec::is_empty) {
        let message = format!("`{}.allow` is empty", field.path);
        return field.bad_value(message, "for all, leave it out; for none, write deny: ['*']", findings);
    }
    Some(NameFilter { allow: allow?, deny: deny? })
}

fn read_names(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<String>> {
    let items = field.items("a list of names, with * for any run of characters", MAX_NAMES, findings)?;
    let names: Vec<String> = items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| field.item(index, node).bounded_text(MAX_NAME, findings))
        .collect();
    (names.len() == items.len()).then_some(names)
}

/// The first rule that names a consumer decides, so one behind it never will.
fn warn_about_hidden(rule: &AccessRule, earlier: &[AccessRule], field: &Field<'_>, findings: &mut Collector) {
    let hides = |name: &String| {
        earlier.iter().position(|rule| rule.consumers.iter().any(|pattern| covers(pattern, name)))
    };
    let hidden: Option<Vec<usize>> = rule.consumers.iter().map(hides).collect();
    if let Some(last) = hidden.and_then(|rules| rules.into_iter().max()) {
        let message = format!("every consumer of this rule is named by rule {last} or one before it");
        let suggestion = "the first rule that names a consumer decides; put this one before, or remove it";
        findings.add(rules::HIDDEN_RULE, &field.path, field.node.at, message, suggestion);
    }
}

/// Whether a name or glob stands for all that another does.
fn covers(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    let mut parts = tail.split('*').rev();
    let end = parts.next().unwrap_or_default();
    let Some(mut middle) = rest.strip_suffix(end) else { return false };
    for part in parts.rev() {
        match middle.split_once(part) {
            Some((_, after)) => middle = after,
            None => return false,
        }
    }
    true
}
