//! Reads `pack`.

use super::fields::{Field, Fields};
use crate::lint::collector::{Collector, echo};
use crate::schema::pack::{Pack, PackName, PackVersion};

pub(super) fn read(field: &Field<'_>, findings: &mut Collector) -> Option<Pack> {
    let fields = Fields::of(field, &["name", "version", "enabled", "description", "author"], findings)?;
    let name = fields.required("name", findings).and_then(|field| read_name(&field, findings));
    let version = fields.required("version", findings).and_then(|field| read_version(&field, findings));
    let enabled = fields.required("enabled", findings).and_then(|field| field.boolean(findings));
    let description = fields.get("description").and_then(|field| note(&field, 4000, findings));
    let author = fields.get("author").and_then(|field| note(&field, 200, findings));
    Some(Pack { name: name?, version: version?, enabled: enabled?, description, author })
}

fn read_name(field: &Field<'_>, findings: &mut Collector) -> Option<PackName> {
    let text = field.text(findings)?;
    match text.parse() {
        Ok(name) => Some(name),
        Err(reason) => field.bad_value(format!("{} is no pack name: {reason}", echo(&text)), "", findings),
    }
}

fn read_version(field: &Field<'_>, findings: &mut Collector) -> Option<PackVersion> {
    let text = match field.node.as_scalar() {
        // `1.0` is a number to YAML; that it is no version either is the more useful answer.
        Some(scalar) if !scalar.text.is_empty() && scalar.text != "~" => scalar.text.clone(),
        _ => field.text(findings)?,
    };
    match text.parse() {
        Ok(version) => Some(version),
        Err(reason) => {
            let message = format!("{} is no pack version: {reason}", echo(&text));
            field.bad_value(message, "write three numbers, as 0.1.0 or 1.2.0-rc.1", findings)
        }
    }
}

/// Optional prose; empty is as good as absent.
fn note(field: &Field<'_>, limit: usize, findings: &mut Collector) -> Option<String> {
    let text = field.text(findings)?;
    let length = text.chars().count();
    if length > limit {
        let message = format!("`{}` has {length} characters; the limit is {limit}", field.path);
        return field.bad_value(message, "shorten it", findings);
    }
    Some(text).filter(|text| !text.is_empty())
}
