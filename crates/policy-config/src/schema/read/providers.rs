//! Reads `providers`: targets, and how requests are spread over them.

mod azure;
mod keys;
mod routing;
mod timeouts;

use std::collections::HashMap;

use super::fields::{Field, Fields, suggest};
use crate::lint::collector::{Collector, echo};
use crate::lint::rules;
use crate::location::Location;
use crate::schema::address::{self, BaseUrl};
use crate::schema::providers::{
    Provider, ProviderTarget, Providers, RoutingStrategy, TargetId, default_prefix,
};

const MAX_TARGETS: usize = 200;
const TARGET_KEYS: &[&str] = &[
    "id",
    "provider",
    "model",
    "base_url",
    "secret_key_ref",
    "api_key_header",
    "api_key_prefix",
    "timeout",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "weight",
    "ca_file",
    "deployment",
    "api_version",
];

pub(super) fn read(field: &Field<'_>, findings: &mut Collector) -> Option<Providers> {
    let fields = Fields::of(field, &["targets", "routing", "fallback", "circuit_breaker"], findings)?;
    let routing = fields
        .get("routing")
        .map_or(Some(RoutingStrategy::default()), |field| routing::read_routing(&field, findings));
    let targets = fields
        .required("targets", findings)
        .and_then(|field| read_targets(&field, routing.unwrap_or(RoutingStrategy::Weighted), findings));
    let fallback = fields
        .get("fallback")
        .map_or_else(|| Some(Default::default()), |field| routing::read_fallback(&field, findings));
    let circuit_breaker = fields
        .get("circuit_breaker")
        .map_or_else(|| Some(Default::default()), |field| routing::read_breaker(&field, findings));
    Some(Providers {
        targets: targets?,
        routing: routing?,
        fallback: fallback?,
        circuit_breaker: circuit_breaker?,
    })
}

fn read_targets(
    field: &Field<'_>,
    routing: RoutingStrategy,
    findings: &mut Collector,
) -> Option<Vec<ProviderTarget>> {
    let items = field.items("a list of targets", MAX_TARGETS, findings)?;
    if items.is_empty() {
        let message = "`providers.targets` is empty: requests would have nowhere to go";
        findings.add(
            rules::NO_TARGET,
            &field.path,
            field.node.at,
            message,
            "add a target with id, provider, model and base_url",
        );
        return None;
    }
    let mut ids = HashMap::new();
    let mut targets = Vec::new();
    for (index, item) in items.iter().enumerate() {
        targets.extend(read_target(&field.item(index, item), &mut ids, routing, findings));
    }
    (targets.len() == items.len()).then_some(targets)
}

fn read_target(
    field: &Field<'_>,
    ids: &mut HashMap<String, Location>,
    routing: RoutingStrategy,
    findings: &mut Collector,
) -> Option<ProviderTarget> {
    let fields = Fields::of(field, TARGET_KEYS, findings)?;
    let id = fields.required("id", findings).and_then(|field| read_id(&field, ids, findings));
    let provider = fields.required("provider", findings).and_then(|field| read_provider(&field, findings));
    let model = fields.required("model", findings).and_then(|field| read_model(&field, findings));
    let base_url =
        fields.required("base_url", findings).and_then(|field| read_base_url(&field, provider, findings));
    let secret = fields.get("secret_key_ref").map(|field| keys::read_secret(&field, findings));
    let header = fields.get("api_key_header").map(|field| keys::read_header(&field, findings));
    let prefix = fields.get("api_key_prefix").map(|field| keys::read_prefix(&field, findings));
    let ca_file = fields.get("ca_file").map(|field| keys::read_ca_file(&field, findings));
    let timeouts = timeouts::read(&fields, findings);
    let weight =
        fields.get("weight").map_or(Some(1), |field| routing::read_weight(&field, routing, findings));
    let azure = azure::read(&fields, provider, findings);

    if let (Some(url), Some(_), Some(field)) = (&base_url, &secret, fields.get("base_url"))
        && url.plain_http_to_public_host
    {
        let message = "the key of this target travels unencrypted to a public host";
        findings.add(rules::PLAIN_HTTP, &field.path, field.node.at, message, "use https://");
    }
    if let (Some(url), Some(ca)) = (&base_url, fields.get("ca_file"))
        && url.normalised.starts_with("http://")
    {
        let message = format!("`{}` says whom to trust over TLS, and `base_url` is http://", ca.path);
        return ca.bad_value(message, "use https://, or remove it", findings);
    }
    let provider = provider?;
    let api_key_header = header.unwrap_or_else(|| Some(provider.key_header().to_owned()))?;
    let default_prefix = default_prefix(&api_key_header);
    let timeouts = timeouts?;
    let azure = azure?;
    Some(ProviderTarget {
        id: TargetId(id?),
        provider,
        model: model?,
        base_url: base_url?.normalised,
        secret_key_ref: secret.map_or(Some(None), |secret| secret.map(Some))?,
        api_key_header,
        api_key_prefix: prefix.unwrap_or_else(|| Some(default_prefix.to_owned()))?,
        timeout: timeouts.whole,
        connect_timeout: timeouts.connect,
        first_byte_timeout: timeouts.first_byte,
        idle_timeout: timeouts.idle,
        weight: weight?,
        ca_file: ca_file.map_or(Some(None), |name| name.map(Some))?,
        deployment: azure.deployment,
        api_version: azure.api_version,
    })
}

fn read_id(
    field: &Field<'_>,
    ids: &mut HashMap<String, Location>,
    findings: &mut Collector,
) -> Option<String> {
    let id = field.text(findings)?;
    let all_allowed =
        id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/'));
    if !all_allowed || !id.starts_with(|first: char| first.is_ascii_alphanumeric()) || id.len() > 200 {
        let message = format!(
            "{} is no target id: 1-200 of A-Z a-z 0-9 . _ : / - starting with a letter or digit",
            echo(&id)
        );
        return field.bad_value(message, "", findings);
    }
    if let Some(first) = ids.get(&id) {
        let message = format!("the target id {} is taken by the target at line {}", echo(&id), first.line);
        findings.add(
            rules::DUPLICATE_TARGET,
            &field.path,
            field.node.at,
            message,
            "give each target an id of its own",
        );
        return None;
    }
    ids.insert(id.clone(), field.node.at);
    Some(id)
}

fn read_provider(field: &Field<'_>, findings: &mut Collector) -> Option<Provider> {
    let text = field.text(findings)?;
    if let Some(provider) = Provider::ALL.iter().find(|provider| provider.as_str() == text) {
        return Some(*provider);
    }
    let known: Vec<&str> = Provider::ALL.iter().map(|provider| provider.as_str()).collect();
    let message = format!("unknown provider {}; known: {}", echo(&text), known.join(", "));
    findings.add(rules::UNKNOWN_PROVIDER, &field.path, field.node.at, message, suggest(&text, &known));
    None
}

fn read_model(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let model = field.bounded_text(200, findings)?;
    if model.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(model);
    }
    let message = format!("{} is no model name: visible ASCII characters without blanks", echo(&model));
    field.bad_value(message, "write a model name, or a glob such as gpt-* or *", findings)
}

fn read_base_url(field: &Field<'_>, provider: Option<Provider>, findings: &mut Collector) -> Option<BaseUrl> {
    let text = field.text(findings)?;
    match address::check_base_url(&text) {
        Ok(url) if provider == Some(Provider::AzureOpenAi) => Some(url.without_end("/openai")),
        Ok(url) => Some(url),
        Err(problem) => {
            let rule = if problem.is_metadata { rules::METADATA_ADDRESS } else { rules::BAD_BASE_URL };
            findings.add(rule, &field.path, field.node.at, problem.message, problem.suggestion);
            None
        }
    }
}
