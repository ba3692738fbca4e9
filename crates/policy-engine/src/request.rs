//! What a `chat.completions` request must have before any policy looks at it.

use crate::endpoint::Endpoint;
use crate::json::{Document, JsonError, Shape, Value};

/// Why a request is refused with 400 `validation_error`; the text may be shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the request body was refused: {0}")]
    Json(#[from] JsonError),
    #[error("the request body must be a JSON object")]
    NotAnObject,
    #[error("`{path}` is required")]
    Missing { path: String },
    #[error("`{path}` must be {expected}")]
    WrongType { path: String, expected: &'static str },
    #[error(
        "`{key}` is refused: where a request goes is said by the gateway's policy pack, never by the request"
    )]
    Destination { key: String },
}

/// Of the top of a request, what holds the application's or the user's own words and schemas.
const CONTENT: &[&str] = &["messages", "tools", "functions", "response_format", "prediction", "metadata"];
/// Keys by which proxies and SDKs let a caller choose the host, and so who is sent the key; compared
/// without case, `_` and `-`.
const DESTINATIONS: &[&str] = &["apibase", "baseurl"];
const LONGEST_DESTINATION: usize = 7;

/// What the gateway itself needs of a request.
#[derive(Debug)]
pub(crate) struct RequestHead<'a> {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) document: Document<'a>,
}

/// Reads and checks the shape of a request; fields that no policy knows are left alone.
pub(crate) fn read(_endpoint: Endpoint, body: &[u8]) -> Result<RequestHead<'_>, RequestError> {
    let document = Document::parse(body)?;
    let root = document.root();
    if !root.is_object() {
        return Err(RequestError::NotAnObject);
    }
    let model = match document.member(root, "model") {
        Some(value) if value.is_string() => document.string(value.span).into_text().into_owned(),
        Some(_) => return Err(wrong("model", "a string")),
        None => return Err(missing("model")),
    };
    if model.is_empty() {
        return Err(wrong("model", "a model name"));
    }
    let stream = match document.member(root, "stream").map(|value| &value.shape) {
        Some(Shape::Bool(stream)) => *stream,
        None | Some(Shape::Null) => false,
        Some(_) => return Err(wrong("stream", "true or false")),
    };
    check_destination(&document, root)?;
    check_messages(&document, root)?;
    Ok(RequestHead { model, stream, document })
}

fn check_messages(document: &Document<'_>, root: &Value) -> Result<(), RequestError> {
    let messages = document.member(root, "messages").ok_or_else(|| missing("messages"))?;
    match &messages.shape {
        Shape::Array(items) if !items.is_empty() => {}
        _ => return Err(wrong("messages", "an array with at least one message")),
    }
    for (at, message) in messages.items().iter().enumerate() {
        if !message.is_object() {
            return Err(wrong(&format!("messages[{at}]"), "an object"));
        }
        match document.member(message, "role") {
            Some(role) if role.is_string() => {}
            Some(_) => return Err(wrong(&format!("messages[{at}].role"), "a string")),
            None => return Err(missing(&format!("messages[{at}].role"))),
        }
        match document.member(message, "content").map(|content| &content.shape) {
            None | Some(Shape::Null | Shape::String | Shape::Array(_)) => {}
            Some(_) => {
                let path = format!("messages[{at}].content");
                return Err(wrong(&path, "a string, an array of parts or null"));
            }
        }
    }
    Ok(())
}

/// Nothing here would follow such a field; a proxy behind the target may.
fn check_destination(document: &Document<'_>, root: &Value) -> Result<(), RequestError> {
    for member in root.members() {
        let key = document.string(member.key);
        refuse_destination(key.text())?;
        if !CONTENT.contains(&key.text()) {
            check_destinations_below(document, &member.value)?;
        }
    }
    Ok(())
}

fn check_destinations_below(document: &Document<'_>, value: &Value) -> Result<(), RequestError> {
    for member in value.members() {
        refuse_destination(document.string(member.key).text())?;
        check_destinations_below(document, &member.value)?;
    }
    value.items().iter().try_for_each(|item| check_destinations_below(document, item))
}

fn refuse_destination(key: &str) -> Result<(), RequestError> {
    let bare: String = key
        .chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .take(LONGEST_DESTINATION + 1)
        .collect();
    if !DESTINATIONS.contains(&bare.as_str()) {
        return Ok(());
    }
    // the separators that were left out may be many
    Err(RequestError::Destination { key: key.chars().take(2 * LONGEST_DESTINATION).collect() })
}

fn missing(path: &str) -> RequestError {
    RequestError::Missing { path: path.to_owned() }
}

fn wrong(path: &str, expected: &'static str) -> RequestError {
    RequestError::WrongType { path: path.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_field() {
        for (body, expected) in [
            ("[]", "the request body must be a JSON object"),
            ("{}", "`model` is required"),
            (r#"{"model":5}"#, "`model` must be a string"),
            (r#"{"model":""}"#, "`model` must be a model name"),
            (r#"{"model":"m","stream":"yes"}"#, "`stream` must be true or false"),
            (r#"{"model":"m"}"#, "`messages` is required"),
            (r#"{"model":"m","messages":[]}"#, "`messages` must be an array with at least one message"),
            (r#"{"model":"m","messages":[{"content":""}]}"#, "`messages[0].role` is required"),
            (
                r#"{"model":"m","messages":[{"role":"user","content":5}]}"#,
                "`messages[0].content` must be a string, an array of parts or null",
            ),
            (
                r#"{"model":"m","extra_body":{"API-Base":"http://169.254.169.254"},"messages":[{"role":"user"}]}"#,
                "`API-Base` is refused: where a request goes is said by the gateway's policy pack, never by the request",
            ),
            (
                r#"{"model":"m","base_url":null,"messages":[{"role":"user"}]}"#,
                "`base_url` is refused: where a request goes is said by the gateway's policy pack, never by the request",
            ),
            (
                r#"{"model":"m","model":"n"}"#,
                "the request body was refused: the key \"model\" stands twice in one object (byte 13)",
            ),
        ] {
            assert_eq!(
                read(Endpoint::ChatCompletions, body.as_bytes()).expect_err(body).to_string(),
                expected
            );
        }
    }

    #[test]
    fn a_tool_may_have_a_parameter_that_is_a_url() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":[{"base_url":"x"}]}],
            "tools":[{"function":{"parameters":{"properties":{"base_url":{"type":"string"}}}}}]}"#;
        assert!(read(Endpoint::ChatCompletions, body).is_ok());
    }

    #[test]
    fn a_request_gives_its_model_and_whether_it_streams() {
        let head = read(
            Endpoint::ChatCompletions,
            br#"{"model":"gpt\u002d5","stream":true,"messages":[{"role":"user"}],"x":1e999}"#,
        );
        let head = head.unwrap();
        assert_eq!((head.model.as_str(), head.stream), ("gpt-5", true));
    }
}
