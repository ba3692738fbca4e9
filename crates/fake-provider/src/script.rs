//! How one request wants to be answered: pace, words, faults.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// Read from the request's JSON field `x_fake`, else from the header `x-fake` (the same JSON), else
/// from the end of the model's name: `…-slow` (20 chunks, 100 ms apart), `…-error` (500), `…-hang`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Into how many chunks a streamed reply is cut; at least 1.
    pub chunks: usize,
    /// Waited before each chunk after the first, in milliseconds.
    pub chunk_delay_ms: u64,
    /// Waited before the answer begins, in milliseconds.
    pub delay_ms: u64,
    /// Another status than 200 is answered with an error body.
    pub status: u16,
    /// The fault comes only the first so many times that a script of this `name` is asked for.
    pub times: Option<u64>,
    /// Names what `times` counts.
    pub name: String,
    /// Never answer (until the server drains).
    pub hang: bool,
    /// Break the connection after so many chunks of a stream.
    pub break_after: Option<usize>,
    /// Say this, instead of repeating what the user said.
    pub reply: Option<String>,
    /// Call these tools, in this order, instead of saying anything; completions and embeddings have none.
    pub calls: Vec<ToolCall>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    pub name: String,
    /// An object.
    pub arguments: Value,
}

// === impl Script ===

impl Script {
    /// The script of a request, or why it cannot be read.
    pub(crate) fn of(request: &Value, header: Option<&str>) -> Result<Self, String> {
        let unreadable = |error: serde_json::Error| format!("x_fake cannot be read: {error}");
        if let Some(script) = request.get("x_fake") {
            return Self::deserialize(script).map_err(unreadable);
        }
        if let Some(text) = header {
            return serde_json::from_str(text).map_err(unreadable);
        }
        let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
        Ok(match model.rsplit('-').next() {
            Some("slow") => Self { chunks: 20, chunk_delay_ms: 100, ..Self::default() },
            Some("error") => Self { status: 500, ..Self::default() },
            Some("hang") => Self { hang: true, ..Self::default() },
            _ => Self::default(),
        })
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    pub(crate) fn chunk_delay(&self) -> Duration {
        Duration::from_millis(self.chunk_delay_ms)
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            chunks: 4,
            chunk_delay_ms: 0,
            delay_ms: 0,
            status: 200,
            times: None,
            name: String::new(),
            hang: false,
            break_after: None,
            reply: None,
            calls: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_field_wins_over_the_header_and_the_header_over_the_model() {
        let request = json!({"model": "m-slow", "x_fake": {"chunks": 2}});
        assert_eq!(Script::of(&request, Some(r#"{"chunks":3}"#)).unwrap().chunks, 2);
        let request = json!({"model": "m-slow"});
        assert_eq!(Script::of(&request, Some(r#"{"chunks":3}"#)).unwrap().chunks, 3);
        assert_eq!(Script::of(&request, None).unwrap().chunks, 20);
        assert_eq!(Script::of(&json!({"model": "m-error"}), None).unwrap().status, 500);
        assert!(Script::of(&json!({"x_fake": {"chonks": 2}}), None).unwrap_err().contains("chonks"));
    }
}
