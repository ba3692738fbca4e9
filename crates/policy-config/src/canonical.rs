//! The canonical form of a pack: a YAML text with every default written out and order normalised.
//!
//! Two packs mean the same exactly when their canonical forms are equal. The order of the chain and of
//! the targets means something and is kept; the order of keys does not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::schema::chain::PolicyMode;
use crate::schema::providers::{Fallback, ProviderTarget, SecretKeyRef};
use crate::schema::settings::{
    Access, AccessRule, AuditLogger, DetectAction, DlpAction, DlpFilter, Limit, MarkerFormat, ModelAccess,
    NameFilter, PiiAction, PiiDetector, PolicySettings, PromptInjection, RateLimit,
};
use crate::schema::{Pack, PolicyConfig, Providers};

/// A value of the canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Written as it is: a word, a boolean.
    Word(String),
    /// Written in double quotes.
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// A section of the canonical form, by its top-level key.
pub(crate) type Section = (&'static str, Value);

/// The canonical form of `config`; it parses to an equal config.
pub fn canonical(config: &PolicyConfig) -> String {
    let mut text = String::new();
    for (name, value) in sections(config) {
        write_entry(&mut text, name, &value, 0);
    }
    text
}

/// `pack`, `providers`, `policies`, `policy`, in this order.
pub(crate) fn sections(config: &PolicyConfig) -> [Section; 4] {
    let chain = config.policies.iter().map(|policy| word(policy.kind().as_str())).collect();
    let mut blocks: Vec<(String, Value)> =
        config.policies.iter().map(|policy| (policy.kind().as_str().to_owned(), settings(policy))).collect();
    blocks.sort_by(|a, b| a.0.cmp(&b.0));
    [
        ("pack", pack(&config.pack)),
        ("providers", providers(&config.providers)),
        ("policies", map([("chain", Value::List(chain)), ("budget", word(&duration(config.budget)))])),
        ("policy", Value::Map(blocks)),
    ]
}

/// One value on one line, as diffs show it.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Word(text) => text.clone(),
        Value::Text(text) => quote(text),
        Value::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}: {}", inline(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn pack(pack: &Pack) -> Value {
    map([
        ("name", text(pack.name.as_str())),
        ("version", text(&pack.version.to_string())),
        ("enabled", boolean(pack.enabled)),
        ("description", text(pack.description.as_deref().unwrap_or_default())),
        ("author", text(pack.author.as_deref().unwrap_or_default())),
    ])
}

fn providers(providers: &Providers) -> Value {
    let breaker = &providers.circuit_breaker;
    map([
        ("targets", Value::List(providers.targets.iter().map(target).collect())),
        ("routing", map([("strategy", word(providers.routing.as_str()))])),
        ("fallback", fallback(&providers.fallback)),
        (
            "circuit_breaker",
            map([
                ("failure_threshold", word(&breaker.failure_threshold.to_string())),
                ("cooldown", word(&duration(breaker.cooldown))),
            ]),
        ),
    ])
}

fn fallback(fallback: &Fallback) -> Value {
    let triggers = fallback.triggers.iter().map(|trigger| word(trigger.as_str())).collect();
    let mut entries =
        vec![("triggers", Value::List(triggers)), ("max_attempts", word(&fallback.max_attempts.to_string()))];
    entries.extend(fallback.total_timeout.map(|total| ("total_timeout", word(&duration(total)))));
    map(entries)
}

fn target(target: &ProviderTarget) -> Value {
    let mut entries = vec![
        ("id", text(&target.id.0)),
        ("provider", word(target.provider.as_str())),
        ("model", text(&target.model)),
        ("base_url", text(&target.base_url)),
    ];
    match &target.secret_key_ref {
        Some(SecretKeyRef::Env(name)) => entries.push(("secret_key_ref", map([("env", text(name))]))),
        Some(SecretKeyRef::File(name)) => entries.push(("secret_key_ref", map([("file", text(name))]))),
        None => {}
    }
    entries.extend([
        ("api_key_header", text(&target.api_key_header)),
        ("api_key_prefix", text(&target.api_key_prefix)),
        ("timeout", word(&duration(target.timeout))),
        ("connect_timeout", word(&duration(target.connect_timeout))),
    ]);
    // Where they follow `timeout` they are not told again: a diff would show one change as three.
    for (key, time) in
        [("first_byte_timeout", target.first_byte_timeout), ("idle_timeout", target.idle_timeout)]
    {
        entries.extend((time != target.timeout).then(|| (key, word(&duration(time)))));
    }
    entries.push(("weight", word(&target.weight.to_string())));
    entries.extend(target.ca_file.as_ref().map(|name| ("ca_file", map([("file", text(name))]))));
    entries.extend(target.deployment.as_ref().map(|name| ("deployment", text(name))));
    entries.extend(target.api_version.as_ref().map(|version| ("api_version", text(version))));
    map(entries)
}

fn settings(policy: &PolicySettings) -> Value {
    match policy {
        PolicySettings::PromptInjection(settings) => prompt_injection(settings),
        PolicySettings::PiiDetector(settings) => pii_detector(settings),
        PolicySettings::DlpFilter(settings) => dlp_filter(settings),
        PolicySettings::RateLimit(settings) => rate_limit(settings),
        PolicySettings::ModelAccess(settings) => model_access(settings),
        PolicySettings::AuditLogger(AuditLogger { mode, include_content }) => {
            map([("mode", mode_word(*mode)), ("include_content", boolean(*include_content))])
        }
    }
}

fn prompt_injection(settings: &PromptInjection) -> Value {
    let action = match settings.action {
        DetectAction::Block => "block",
        DetectAction::Log => "log",
        DetectAction::Escalate => "escalate",
    };
    map([
        ("mode", mode_word(settings.mode)),
        ("response", map([("action", word(action)), ("message", text(&settings.message))])),
        ("detection", map([("attack_patterns", list(&settings.attack_patterns))])),
    ])
}

fn pii_detector(settings: &PiiDetector) -> Value {
    let action = match settings.action {
        PiiAction::Redact => "redact",
        PiiAction::Block => "block",
    };
    let format = match settings.marker_format {
        MarkerFormat::Label => "label",
        MarkerFormat::Mask => "mask",
        MarkerFormat::Partial => "partial",
    };
    map([
        ("mode", mode_word(settings.mode)),
        ("action", word(action)),
        ("pci_mode", boolean(settings.pci_mode)),
        ("healthcare_mode", boolean(settings.healthcare_mode)),
        ("detect_patterns", texts(&settings.detect_patterns)),
        (
            "redaction",
            map([("marker_format", word(format)), ("custom_markers", texts(&settings.custom_markers))]),
        ),
    ])
}

fn dlp_filter(settings: &DlpFilter) -> Value {
    let action = match settings.action {
        DlpAction::Block => "block",
        DlpAction::Redact => "redact",
    };
    map([
        ("mode", mode_word(settings.mode)),
        ("action", word(action)),
        ("blocked_terms", list(&settings.blocked_terms)),
        ("detect_patterns", texts(&settings.detect_patterns)),
    ])
}

fn rate_limit(settings: &RateLimit) -> Value {
    map([
        ("mode", mode_word(settings.mode)),
        ("consumer_header", text(&settings.consumer_header)),
        ("limits", Value::List(settings.limits.iter().map(limit).collect())),
    ])
}

fn limit(limit: &Limit) -> Value {
    let mut entries = vec![("key", text(&limit.key.to_string()))];
    entries.extend(limit.requests.map(|requests| ("requests", word(&requests.to_string()))));
    entries.extend(limit.tokens.map(|tokens| ("tokens", word(&tokens.to_string()))));
    entries.push(("window", word(&duration(limit.window))));
    map(entries)
}

fn model_access(settings: &ModelAccess) -> Value {
    let default = match settings.default {
        Access::Allow => "allow",
        Access::Deny => "deny",
    };
    map([
        ("mode", mode_word(settings.mode)),
        ("consumer_header", text(&settings.consumer_header)),
        ("default", word(default)),
        ("rules", Value::List(settings.rules.iter().map(access_rule).collect())),
    ])
}

fn access_rule(rule: &AccessRule) -> Value {
    let filter = |names: &NameFilter| map([("allow", list(&names.allow)), ("deny", list(&names.deny))]);
    map([
        ("consumers", list(&rule.consumers)),
        ("models", filter(&rule.models)),
        ("targets", filter(&rule.targets)),
    ])
}

fn mode_word(mode: PolicyMode) -> Value {
    word(match mode {
        PolicyMode::Enforce => "enforce",
        PolicyMode::Shadow => "shadow",
    })
}

/// In the largest unit that holds it exactly.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

fn word(text: &str) -> Value {
    Value::Word(text.to_owned())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn boolean(value: bool) -> Value {
    Value::Word(value.to_string())
}

fn list(items: &[String]) -> Value {
    Value::List(items.iter().map(|item| text(item)).collect())
}

fn texts(entries: &BTreeMap<String, String>) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (key.clone(), text(value))).collect())
}

fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn write_entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    let margin = " ".repeat(indent);
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            let _ = writeln!(out, "{margin}{key}:");
            for (key, value) in entries {
                write_entry(out, key, value, indent + 2);
            }
        }
        Value::List(items) if !items.is_empty() => {
            let _ = writeln!(out, "{margin}{key}:");
            for item in items {
                write_item(out, item, indent + 2);
            }
        }
        value => {
            let _ = writeln!(out, "{margin}{key}: {}", inline(value));
        }
    }
}

fn write_item(out: &mut String, item: &Value, indent: usize) {
    let margin = " ".repeat(indent);
    let Value::Map(entries) = item else {
        let _ = writeln!(out, "{margin}- {}", inline(item));
        return;
    };
    for (index, (key, value)) in entries.iter().enumerate() {
        if index == 0 {
            let _ = writeln!(out, "{margin}- {key}: {}", inline(value));
        } else {
            write_entry(out, key, value, indent + 2);
        }
    }
}

/// Double quotes and escapes as YAML and JSON share them.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
