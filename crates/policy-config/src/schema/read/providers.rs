//! Reads `providers`: targets, their references to keys, routing.

use std::collections::HashMap;
use std::time::Duration;

use super::fields::{Field, Fields, suggest};
use crate::lint::collector::{Collector, echo};
use crate::lint::{rules, secrets};
use crate::location::Location;
use crate::schema::address::{self, BaseUrl};
use crate::schema::providers::{
    Provider, ProviderTarget, Providers, RoutingStrategy, SecretKeyRef, TargetId,
};
use crate::tree::NodeKind;

const MAX_TARGETS: usize = 200;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const TARGET_KEYS: &[&str] =
    &["id", "provider", "model", "base_url", "secret_key_ref", "api_key_header", "api_key_prefix", "timeout"];
/// Headers that belong to the connection or to the gateway; a key under one of them would break requests.
const RESERVED_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "proxy-connection",
    "expect",
    "accept",
    "accept-encoding",
    "cookie",
];

pub(super) fn read(field: &Field<'_>, findings: &mut Collector) -> Option<Providers> {
    let fields = Fields::of(field, &["targets", "routing"], findings)?;
    let targets = fields.required("targets", findings).and_then(|field| read_targets(&field, findings));
    let routing = fields
        .get("routing")
        .map_or(Some(RoutingStrategy::default()), |field| read_routing(&field, findings));
    Some(Providers { targets: targets?, routing: routing? })
}

fn read_routing(field: &Field<'_>, findings: &mut Collector) -> Option<RoutingStrategy> {
    let fields = Fields::of(field, &["strategy"], findings)?;
    let Some(strategy) = fields.get("strategy") else { return Some(RoutingStrategy::default()) };
    strategy.choice(&[("ordered", RoutingStrategy::Ordered)], findings)
}

fn read_targets(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<ProviderTarget>> {
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
        targets.extend(read_target(&field.item(index, item), &mut ids, findings));
    }
    (targets.len() == items.len()).then_some(targets)
}

fn read_target(
    field: &Field<'_>,
    ids: &mut HashMap<String, Location>,
    findings: &mut Collector,
) -> Option<ProviderTarget> {
    let fields = Fields::of(field, TARGET_KEYS, findings)?;
    let id = fields.required("id", findings).and_then(|field| read_id(&field, ids, findings));
    let provider = fields.required("provider", findings).and_then(|field| read_provider(&field, findings));
    let model = fields.required("model", findings).and_then(|field| read_model(&field, findings));
    let base_url = fields.required("base_url", findings).and_then(|field| read_base_url(&field, findings));
    let secret = fields.get("secret_key_ref").map(|field| read_secret(&field, findings));
    let header = fields.get("api_key_header").map(|field| read_header(&field, findings));
    let prefix = fields.get("api_key_prefix").map(|field| read_prefix(&field, findings));
    let timeout = fields.get("timeout").map_or(Some(DEFAULT_TIMEOUT), |field| field.duration(findings));

    if let (Some(url), Some(_), Some(field)) = (&base_url, &secret, fields.get("base_url"))
        && url.plain_http_to_public_host
    {
        let message = "the key of this target travels unencrypted to a public host";
        findings.add(rules::PLAIN_HTTP, &field.path, field.node.at, message, "use https://");
    }
    let api_key_header = header.unwrap_or_else(|| Some("authorization".to_owned()))?;
    let default_prefix = if api_key_header == "authorization" { "Bearer " } else { "" };
    Some(ProviderTarget {
        id: TargetId(id?),
        provider: provider?,
        model: model?,
        base_url: base_url?.normalised,
        secret_key_ref: secret.map_or(Some(None), |secret| secret.map(Some))?,
        api_key_header,
        api_key_prefix: prefix.unwrap_or_else(|| Some(default_prefix.to_owned()))?,
        timeout: timeout?,
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

fn read_base_url(field: &Field<'_>, findings: &mut Collector) -> Option<BaseUrl> {
    let text = field.text(findings)?;
    match address::check_base_url(&text) {
        Ok(url) => Some(url),
        Err(problem) => {
            let rule = if problem.is_metadata { rules::METADATA_ADDRESS } else { rules::BAD_BASE_URL };
            findings.add(rule, &field.path, field.node.at, problem.message, problem.suggestion);
            None
        }
    }
}

fn read_secret(field: &Field<'_>, findings: &mut Collector) -> Option<SecretKeyRef> {
    if let NodeKind::Scalar(scalar) = &field.node.kind
        && !scalar.text.is_empty()
        && scalar.text != "~"
    {
        let message = "`secret_key_ref` names where a key is kept, it does not hold one; the value is not repeated here";
        let suggestion = "write secret_key_ref: {env: NAME} or {file: name}";
        findings.add(rules::LITERAL_SECRET, &field.path, field.node.at, message, suggestion);
        return None;
    }
    let fields = Fields::of(field, &["env", "file"], findings)?;
    let bad = |message: &str, findings: &mut Collector| {
        let suggestion = "write exactly one of {env: NAME} and {file: name}";
        findings.add(rules::BAD_SECRET_REF, &field.path, field.node.at, message, suggestion);
        None
    };
    match (fields.get("env"), fields.get("file")) {
        (Some(env), None) => read_reference(&env, findings).map(SecretKeyRef::Env),
        (None, Some(file)) => read_reference(&file, findings).map(SecretKeyRef::File),
        (Some(_), Some(_)) => bad("`secret_key_ref` has both `env` and `file`", findings),
        (None, None) => bad("`secret_key_ref` has neither `env` nor `file`", findings),
    }
}

/// The name of a variable or a file. It is never repeated: a key pasted in its place must not be.
fn read_reference(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let name = field.text(findings)?;
    let is_env = field.path.ends_with(".env");
    if secrets::looks_like_secret(&name) {
        let message = "this looks like a key, not like the name of one; the value is not repeated here";
        let suggestion = "put the key into the gateway's environment and write its variable's name here";
        findings.add(rules::LITERAL_SECRET, &field.path, field.node.at, message, suggestion);
        return None;
    }
    let (fits, message) = if is_env {
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let fits = starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (fits, "a variable's name is [A-Za-z_][A-Za-z0-9_]*, at most 128 characters")
    } else {
        let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let fits = allowed && !name.starts_with('.') && !name.is_empty();
        (
            fits,
            "a secret file is a plain name of A-Z a-z 0-9 . _ - in the gateway's secrets directory, without `/` or `..`",
        )
    };
    if fits && name.len() <= 128 {
        return Some(name);
    }
    findings.add(
        rules::BAD_SECRET_REF,
        &field.path,
        field.node.at,
        message,
        "write the name only, as OPENAI_API_KEY",
    );
    None
}

fn read_header(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let name = field.text(findings)?.to_ascii_lowercase();
    let is_token = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !is_token || name.is_empty() || name.len() > 64 {
        let message = format!("{} is no header name", echo(&name));
        return field.bad_value(message, "write a name such as Authorization or x-api-key", findings);
    }
    if RESERVED_HEADERS.contains(&name.as_str()) || name.starts_with("x-kt-") || name.starts_with("proxy-") {
        let message = format!("the header {} belongs to the connection or to the gateway", echo(&name));
        return field.bad_value(message, "write a name such as Authorization or x-api-key", findings);
    }
    Some(name)
}

fn read_prefix(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let prefix = field.text(findings)?;
    if prefix.len() <= 32 && prefix.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Some(prefix);
    }
    // Not repeated: somebody may have put the key behind its prefix.
    field.bad_value(
        "a key prefix has at most 32 visible ASCII characters and blanks".to_owned(),
        "write what stands before the key in the header, as \"Bearer \"",
        findings,
    )
}
