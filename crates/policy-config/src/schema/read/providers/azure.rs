//! Reads what only a target at Azure has: its deployment and the version of the API.

use super::super::fields::{Field, Fields};
use crate::lint::collector::{Collector, echo};
use crate::schema::providers::Provider;

/// Both `None` for every other provider.
pub(super) struct Azure {
    pub(super) deployment: Option<String>,
    pub(super) api_version: Option<String>,
}

pub(super) fn read(
    fields: &Fields<'_>,
    provider: Option<Provider>,
    findings: &mut Collector,
) -> Option<Azure> {
    let deployment = fields.get("deployment").map(|field| {
        let accepted = "1-64 of A-Z a-z 0-9 . _ -";
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        read_name(&field, provider, 64, (accepted, "the name of the deployment"), allowed, findings)
    });
    let api_version = fields.get("api_version").map(|field| {
        let accepted = "1-32 of a-z 0-9 -";
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        read_name(&field, provider, 32, (accepted, "a version such as 2024-10-21"), allowed, findings)
    });
    Some(Azure {
        deployment: deployment.map_or(Some(None), |name| name.map(Some))?,
        api_version: api_version.map_or(Some(None), |version| version.map(Some))?,
    })
}

fn read_name(
    field: &Field<'_>,
    provider: Option<Provider>,
    limit: usize,
    (accepted, example): (&str, &str),
    allowed: impl Fn(u8) -> bool,
    findings: &mut Collector,
) -> Option<String> {
    if let Some(provider) = provider.filter(|provider| *provider != Provider::AzureOpenAi) {
        let message =
            format!("`{}` is for azure-openai targets; this one is {}", field.path, provider.as_str());
        return field.bad_value(message, "remove it", findings);
    }
    let text = field.text(findings)?;
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if starts_well && text.len() <= limit && text.bytes().all(allowed) {
        return Some(text);
    }
    let message = format!("`{}` is {}; it must be {accepted}", field.path, echo(&text));
    field.bad_value(message, &format!("write {example}"), findings)
}
