//! A text that is JSON itself (arguments of a tool call, most answers of tools) is read as such, so that its own
//! escapes hide nothing and what is spliced in leaves it JSON.

use super::{Found, Look, plain};
use crate::json::{Document, Shape, Span, Value, encode};

/// JSON in a string in JSON in a string: this far down.
const MAX_EMBEDDED: usize = 3;

/// What is found in a text, in order, without overlap.
pub(super) fn scan<'l>(look: &'l impl Look, text: &str) -> Vec<Found<'l>> {
    scan_text(look, text, MAX_EMBEDDED)
}

fn scan_text<'l>(look: &'l impl Look, text: &str, levels: usize) -> Vec<Found<'l>> {
    let mut found = Vec::new();
    let may_be_json = levels > 0 && text.trim_start().starts_with(['{', '[']);
    if let Some(document) = may_be_json.then(|| Document::parse(text.as_bytes()).ok()).flatten() {
        scan_value(look, &document, document.root(), levels - 1, &mut found);
    }
    let embedded = found.len();
    for plain in plain(look, text) {
        // those found as JSON are in the order of the text and disjoint
        let as_json = found.get(..embedded).unwrap_or_default();
        let begun = as_json.partition_point(|inner| inner.range.start < plain.range.end);
        let last = begun.checked_sub(1).and_then(|at| as_json.get(at));
        if last.is_none_or(|inner| inner.range.end <= plain.range.start) {
            found.push(plain);
        }
    }
    found.sort_by_key(|one| one.range.start);
    found
}

fn scan_value<'l>(
    look: &'l impl Look,
    document: &Document<'_>,
    value: &Value,
    levels: usize,
    found: &mut Vec<Found<'l>>,
) {
    match &value.shape {
        Shape::String => scan_string(look, document, value.span, levels, found),
        Shape::Number => {
            let number = document.raw(value.span);
            if let Some(first) = plain(look, number).into_iter().next() {
                let replacement = format!("\"{}\"", encode(&first.replacement));
                found.push(Found { range: value.span.start..value.span.end, replacement, ..first });
            }
        }
        Shape::Array(items) => {
            items.iter().for_each(|item| scan_value(look, document, item, levels, found));
        }
        Shape::Object(members) => {
            for member in members {
                scan_string(look, document, member.key, levels, found);
                scan_value(look, document, &member.value, levels, found);
            }
        }
        Shape::Null | Shape::Bool(_) => {}
    }
}

fn scan_string<'l>(
    look: &'l impl Look,
    document: &Document<'_>,
    span: Span,
    levels: usize,
    found: &mut Vec<Found<'l>>,
) {
    let string = document.string(span);
    for inner in scan_text(look, string.text(), levels) {
        let place = string.source_span(&inner.range);
        let replacement = encode(&inner.replacement);
        found.push(Found { range: place.start..place.end, replacement, ..inner });
    }
}
