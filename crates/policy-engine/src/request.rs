//! What a request must have before any policy looks at it.

mod shape;

use unicode_normalization::UnicodeNormalization;

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
    #[error(
        "`{path}` holds token numbers, whose text this gateway's policies cannot read; send the text itself"
    )]
    Tokens { path: String },
}

/// Of the top of a request, what holds the application's or the user's own words and schemas.
const CONTENT: &[&str] = &[
    "messages",
    "input",
    "prompt",
    "system",
    "tools",
    "functions",
    "response_format",
    "text",
    "prediction",
    "metadata",
];
/// Keys by which proxies and SDKs let a caller choose the host, and so who is sent the key; compared
/// without case, `_` and `-`.
const DESTINATIONS: &[&str] = &["apibase", "baseurl"];
/// Bytes of each of them.
const DESTINATION: usize = 7;

/// What the gateway itself needs of a request.
#[derive(Debug)]
pub(crate) struct RequestHead<'a> {
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// Where token numbers stand for text.
    pub(crate) tokens: Option<String>,
    pub(crate) document: Document<'a>,
}

/// Reads and checks the shape of a request; fields that no policy knows are left alone.
pub(crate) fn read(endpoint: Endpoint, body: &[u8]) -> Result<RequestHead<'_>, RequestError> {
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
    // a rule would not know it, and whoever reads it behind the gateway may
    if !model.chars().all(is_of_names) {
        return Err(wrong("model", "a model name of plain characters, without blanks"));
    }
    let stream = match document.member(root, "stream").map(|value| &value.shape) {
        Some(Shape::Bool(stream)) => *stream,
        None | Some(Shape::Null) => false,
        Some(_) => return Err(wrong("stream", "true or false")),
    };
    check_destination(&document, root)?;
    let tokens = shape::check(endpoint, &document)?;
    Ok(RequestHead { model, stream, tokens, document })
}

/// What shows, and has no other spelling: no blanks, controls, dashes and forms that only look like ASCII.
fn is_of_names(c: char) -> bool {
    // the fillers are letters that nobody sees
    let is_filler = ('\u{115f}'..='\u{1160}').contains(&c);
    c.is_ascii_graphic() || (c.is_alphanumeric() && !is_filler && std::iter::once(c).nfkc().eq([c]))
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
    let bare = || key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase);
    let is_destination = |destination: &&str| bare().eq(destination.chars());
    // most keys are told by their length or by their first letter
    if key.len() < DESTINATION || !DESTINATIONS.iter().any(is_destination) {
        return Ok(());
    }
    // the separators that were left out may be many
    Err(RequestError::Destination { key: key.chars().take(2 * DESTINATION).collect() })
}

fn missing(path: &str) -> RequestError {
    RequestError::Missing { path: path.to_owned() }
}

fn wrong(path: &str, expected: &'static str) -> RequestError {
    RequestError::WrongType { path: path.to_owned(), expected }
}

#[cfg(test)]
mod tests;
