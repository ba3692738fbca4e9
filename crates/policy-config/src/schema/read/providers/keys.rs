//! Reads what a target says of its key and of whom it trusts: references, never values.

use super::super::fields::{Field, Fields};
use crate::lint::collector::{Collector, echo};
use crate::lint::{rules, secrets};
use crate::schema::providers::SecretKeyRef;
use crate::tree::NodeKind;

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

pub(super) fn read_secret(field: &Field<'_>, findings: &mut Collector) -> Option<SecretKeyRef> {
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
        (
            is_file_name(&name),
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

pub(super) fn read_header(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
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

pub(super) fn read_prefix(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
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

/// `{file: name}`, or the name alone.
pub(super) fn read_ca_file(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let name_field = match &field.node.kind {
        NodeKind::Mapping(_) => Fields::of(field, &["file"], findings)?.required("file", findings)?,
        _ => field.clone(),
    };
    let name = name_field.text(findings)?;
    if is_file_name(&name) && name.len() <= 128 {
        return Some(name);
    }
    let message = format!(
        "{} is no file of certificates: a plain name of A-Z a-z 0-9 . _ - in the gateway's secrets directory",
        echo(&name)
    );
    name_field.bad_value(message, "put the PEM file there and write ca_file: {file: name}", findings)
}

fn is_file_name(name: &str) -> bool {
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    allowed && !name.starts_with('.') && !name.is_empty()
}
