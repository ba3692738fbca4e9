//! A text that is JSON itself (arguments of a tool call, most answers of tools) is read as such, so that its own
//! escapes hide nothing and what is spliced in leaves it JSON.

use super::json_prefix::JsonPrefix;
use super::{Found, Look, join, loose, plain};
use crate::budget::Budget;
use crate::json::{Document, Shape, Span, Value, encode};
use crate::policies::CannotJudge;

/// JSON in a string in JSON in a string: this far down.
const MAX_EMBEDDED: usize = 3;

/// What is found in a text, in order, without overlap.
pub(super) fn scan<'l>(
    look: &'l impl Look,
    text: &str,
    budget: &Budget<'_>,
) -> Result<Vec<Found<'l>>, CannotJudge> {
    scan_text(look, text, MAX_EMBEDDED, budget)
}

fn scan_text<'l>(
    look: &'l impl Look,
    text: &str,
    levels: usize,
    budget: &Budget<'_>,
) -> Result<Vec<Found<'l>>, CannotJudge> {
    let mut found = Vec::new();
    let may_be_json = levels > 0 && text.trim_start().starts_with(['{', '[']);
    if let Some(document) = may_be_json.then(|| Document::parse(text.as_bytes()).ok()).flatten() {
        scan_value(look, &document, document.root(), levels - 1, budget, &mut found)?;
    } else if may_be_json && JsonPrefix::default().read(text) {
        found = loose::scan(look, text, levels - 1, budget)?;
    }
    Ok(join(found, plain(look, text, budget)?))
}

fn scan_value<'l>(
    look: &'l impl Look,
    document: &Document<'_>,
    value: &Value,
    levels: usize,
    budget: &Budget<'_>,
    found: &mut Vec<Found<'l>>,
) -> Result<(), CannotJudge> {
    match &value.shape {
        Shape::String => scan_string(look, document, value.span, levels, budget, found)?,
        Shape::Number => {
            let number = document.raw(value.span);
            if let Some(first) = plain(look, number, budget)?.into_iter().next() {
                let replacement = format!("\"{}\"", encode(&first.replacement));
                found.push(Found { range: value.span.start..value.span.end, replacement, ..first });
            }
        }
        Shape::Array(items) => {
            for item in items {
                scan_value(look, document, item, levels, budget, found)?;
            }
        }
        Shape::Object(members) => {
            for member in members {
                scan_string(look, document, member.key, levels, budget, found)?;
                scan_value(look, document, &member.value, levels, budget, found)?;
            }
        }
        Shape::Null | Shape::Bool(_) => {}
    }
    Ok(())
}

fn scan_string<'l>(
    look: &'l impl Look,
    document: &Document<'_>,
    span: Span,
    levels: usize,
    budget: &Budget<'_>,
    found: &mut Vec<Found<'l>>,
) -> Result<(), CannotJudge> {
    let string = document.string(span);
    for inner in scan_text(look, string.text(), levels, budget)? {
        let place = string.source_span(&inner.range);
        let replacement = encode(&inner.replacement);
        found.push(Found { range: place.start..place.end, replacement, ..inner });
    }
    Ok(())
}
