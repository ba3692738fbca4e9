//! Reads `policy.dlp-filter`.

use std::collections::BTreeMap;

use super::super::fields::{Field, Fields};
use super::super::patterns;
use super::read_mode;
use crate::lint::collector::Collector;
use crate::lint::rules;
use crate::schema::settings::{DlpAction, DlpFilter, MAX_TERM_LENGTH, MAX_TERMS, MAX_TERMS_LENGTH};

pub(super) fn read(field: &Field<'_>, findings: &mut Collector) -> Option<DlpFilter> {
    const ACTIONS: &[(&str, DlpAction)] = &[("block", DlpAction::Block), ("redact", DlpAction::Redact)];
    let fields = Fields::of(field, &["mode", "action", "blocked_terms", "detect_patterns"], findings)?;
    let mode = read_mode(&fields, findings);
    let action =
        fields.get("action").map_or(Some(DlpAction::default()), |field| field.choice(ACTIONS, findings));
    let terms = fields.get("blocked_terms").map_or(Some(Vec::new()), |field| read_terms(&field, findings));
    let patterns = fields
        .get("detect_patterns")
        .map_or(Some(BTreeMap::new()), |field| patterns::read_map(&field, findings));
    let (blocked_terms, detect_patterns) = (terms?, patterns?);
    if blocked_terms.is_empty() && detect_patterns.is_empty() {
        let message = format!("`{}` looks for nothing", field.path);
        let suggestion =
            "add blocked_terms, as [project falcon], or detect_patterns, as {TICKET: 'SEC-[0-9]+'}";
        findings.add(rules::MISSING_KEY, &field.path, field.node.at, message, suggestion);
        return None;
    }
    Some(DlpFilter { mode: mode?, action: action?, blocked_terms, detect_patterns })
}

fn read_terms(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<String>> {
    let items = field.items("a list of words and phrases", MAX_TERMS, findings)?;
    let terms: Vec<String> = items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| read_term(&field.item(index, node), findings))
        .collect();
    let length: usize = terms.iter().map(|term| term.chars().count()).sum();
    if length > MAX_TERMS_LENGTH {
        let message = format!("`{}` has {length} characters; the limit is {MAX_TERMS_LENGTH}", field.path);
        return field.bad_value(message, "shorten it, or write patterns under detect_patterns", findings);
    }
    (terms.len() == items.len()).then_some(terms)
}

fn read_term(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let term = field.bounded_text(MAX_TERM_LENGTH, findings)?;
    if !term.contains(char::is_alphanumeric) {
        let message = format!("`{}` has no letter and no digit", field.path);
        return field.bad_value(message, "for signs alone, write a pattern under detect_patterns", findings);
    }
    Some(term)
}
