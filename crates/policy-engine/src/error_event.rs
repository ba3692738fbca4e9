//! The event that ends a stream which cannot go on, so that the clients of each endpoint read it as an error.

use crate::endpoint::Endpoint;
use crate::json::encode;

/// One server-sent event, its blank line included. `kind`, `code` and `policy` as in the body of an error;
/// `sequence_number` counts the events of a `responses` stream.
pub fn error_event(
    endpoint: Endpoint,
    kind: &str,
    code: &str,
    message: &str,
    policy: Option<&str>,
    sequence_number: u64,
) -> Vec<u8> {
    let policy = policy.map(|policy| format!("\"policy\":\"{}\",", encode(policy))).unwrap_or_default();
    let (kind, code, message) = (encode(kind), encode(code), encode(message));
    let error = format!(r#"{{"type":"{kind}","message":"{message}",{policy}"code":"{code}"}}"#);
    let event = match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings => {
            format!("data: {{\"error\":{error}}}\n\n")
        }
        Endpoint::Responses => format!(
            "event: error\ndata: {{\"type\":\"error\",\"code\":\"{code}\",\"message\":\"{message}\",\"param\":null,\
             \"sequence_number\":{sequence_number},\"error\":{error}}}\n\n"
        ),
        Endpoint::Messages => format!("event: error\ndata: {{\"type\":\"error\",\"error\":{error}}}\n\n"),
    };
    event.into_bytes()
}
