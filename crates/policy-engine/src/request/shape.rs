//! What each endpoint's request must hold: as much as is needed to know where its texts lie.

use super::{RequestError, missing, wrong};
use crate::endpoint::Endpoint;
use crate::json::{Document, Shape, Value};

/// Refuses by the first field that is wrong. Gives the place of token numbers, if there are any.
pub(super) fn check(endpoint: Endpoint, document: &Document<'_>) -> Result<Option<String>, RequestError> {
    match endpoint {
        Endpoint::ChatCompletions => check_messages(document, Content::MayBeNull).map(|()| None),
        Endpoint::Messages => {
            check_system(document)?;
            check_messages(document, Content::Required).map(|()| None)
        }
        Endpoint::Completions => check_text(document, "prompt", true),
        Endpoint::Embeddings => check_text(document, "input", false),
        Endpoint::Responses => check_input(document).map(|()| None),
    }
}

/// What the content of a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    MayBeNull,
    Required,
}

fn check_messages(document: &Document<'_>, content: Content) -> Result<(), RequestError> {
    let messages = document.member(document.root(), "messages").ok_or_else(|| missing("messages"))?;
    match &messages.shape {
        Shape::Array(items) if !items.is_empty() => {}
        _ => return Err(wrong("messages", "an array with at least one message")),
    }
    for (at, message) in messages.items().iter().enumerate() {
        let path = |field: &str| format!("messages[{at}]{field}");
        if !message.is_object() {
            return Err(wrong(&path(""), "an object"));
        }
        match document.member(message, "role") {
            Some(role) if role.is_string() => {}
            Some(_) => return Err(wrong(&path(".role"), "a string")),
            None => return Err(missing(&path(".role"))),
        }
        match (document.member(message, "content").map(|content| &content.shape), content) {
            (Some(Shape::String | Shape::Array(_)), _) | (None | Some(Shape::Null), Content::MayBeNull) => {}
            (None, Content::Required) => return Err(missing(&path(".content"))),
            (Some(_), Content::Required) => {
                return Err(wrong(&path(".content"), "a string or an array of blocks"));
            }
            (Some(_), Content::MayBeNull) => {
                return Err(wrong(&path(".content"), "a string, an array of parts or null"));
            }
        }
    }
    Ok(())
}

fn check_system(document: &Document<'_>) -> Result<(), RequestError> {
    match document.member(document.root(), "system").map(|system| &system.shape) {
        None | Some(Shape::Null | Shape::String | Shape::Array(_)) => Ok(()),
        Some(_) => Err(wrong("system", "a string or an array of blocks")),
    }
}

/// A string or an array of strings; or of token numbers, or of arrays of these.
fn check_text(
    document: &Document<'_>,
    field: &str,
    may_be_null: bool,
) -> Result<Option<String>, RequestError> {
    let expected = "a string or an array of strings";
    let value = document.member(document.root(), field).ok_or_else(|| missing(field))?;
    match &value.shape {
        Shape::String => return Ok(None),
        Shape::Null if may_be_null => return Ok(None),
        Shape::Array(items) if !items.is_empty() => {}
        _ => return Err(wrong(field, expected)),
    }
    let is_number = |value: &Value| matches!(value.shape, Shape::Number);
    let mut tokens = None;
    for (at, item) in value.items().iter().enumerate() {
        let inner = item.items();
        if is_number(item) {
            tokens.get_or_insert_with(|| field.to_owned());
        } else if !inner.is_empty() && inner.iter().all(is_number) {
            tokens.get_or_insert_with(|| format!("{field}[{at}]"));
        } else if !item.is_string() {
            return Err(wrong(&format!("{field}[{at}]"), "a string"));
        }
    }
    Ok(tokens)
}

/// Of `responses`: a string or items; none where the provider keeps a prompt or what was said before.
fn check_input(document: &Document<'_>) -> Result<(), RequestError> {
    let root = document.root();
    let expected = "a string or an array of items";
    match document.member(root, "input").map(|input| &input.shape) {
        Some(Shape::String) => {}
        Some(Shape::Array(items)) => {
            for (at, item) in items.iter().enumerate() {
                let path = |field: &str| format!("input[{at}]{field}");
                if !item.is_object() {
                    return Err(wrong(&path(""), "an object"));
                }
                for field in ["role", "type"] {
                    let value = document.member(item, field);
                    if value.is_some_and(|value| !value.is_string() && !value.is_null()) {
                        return Err(wrong(&path(&format!(".{field}")), "a string"));
                    }
                }
            }
        }
        Some(Shape::Null) | None => {
            let kept = ["prompt", "previous_response_id", "conversation"];
            let is_kept =
                kept.iter().any(|key| document.member(root, key).is_some_and(|kept| !kept.is_null()));
            if !is_kept {
                return Err(missing("input"));
            }
        }
        Some(_) => return Err(wrong("input", expected)),
    }
    match document.member(root, "instructions").map(|instructions| &instructions.shape) {
        None | Some(Shape::Null | Shape::String | Shape::Array(_)) => Ok(()),
        Some(_) => Err(wrong("instructions", "a string")),
    }
}
