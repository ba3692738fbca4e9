//! A part of the tree as JSON, for what goes through a gateway as it is: messages and answers.

use crate::lint::collector::{Collector, path_key};
use crate::schema::read::fields::{Field, join};
use crate::tree::{Meaning, NodeKind, Scalar};

/// `None` after a finding: something in it is no JSON.
pub(super) fn of(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let mut text = String::new();
    write(field, &mut text, findings).then_some(text)
}

/// True when all of it could be written.
fn write(field: &Field<'_>, out: &mut String, findings: &mut Collector) -> bool {
    match &field.node.kind {
        NodeKind::Scalar(scalar) => write_scalar(field, scalar, out, findings),
        NodeKind::Sequence(items) => {
            let mut good = true;
            out.push('[');
            for (index, node) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                good &= write(&field.item(index, node), out, findings);
            }
            out.push(']');
            good
        }
        NodeKind::Mapping(entries) => {
            let mut good = true;
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(&entry.key, out);
                out.push(':');
                let value = Field { path: join(&field.path, &path_key(&entry.key)), node: &entry.value };
                good &= write(&value, out, findings);
            }
            out.push('}');
            good
        }
    }
}

fn write_scalar(field: &Field<'_>, scalar: &Scalar, out: &mut String, findings: &mut Collector) -> bool {
    match scalar.meaning() {
        Meaning::Text => quote(&scalar.text, out),
        Meaning::Null => out.push_str("null"),
        Meaning::Boolean => out.push_str(&scalar.text.to_ascii_lowercase()),
        Meaning::Number if is_json_number(&scalar.text) => out.push_str(&scalar.text),
        Meaning::Number => {
            let message = format!("`{}` is a number of YAML and none of JSON", field.path);
            let suggestion = "write it in decimal, or quote it if it is text";
            return field.bad_value::<()>(message, suggestion, findings).is_some();
        }
    }
    true
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
fn is_json_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && digits(fraction)
        && digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for good in ["0", "-1", "12.50", "1e5", "1E-3", "0.1"] {
            assert!(is_json_number(good), "{good}");
        }
        for bad in ["017", "0x1F", ".5", "1.", "+1", "1_000", "1e", "-", "", ".inf", "--1"] {
            assert!(!is_json_number(bad), "{bad}");
        }
    }
}
