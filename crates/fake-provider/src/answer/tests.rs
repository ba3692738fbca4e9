//! In every dialect a stream says what the whole answer says.

use serde_json::{Value, json};

use super::Answer;
use crate::dialect::Dialect;
use crate::script::Script;

fn answer(dialect: Dialect, request: &Value, script: &Value) -> Answer {
    let script: Script = serde_json::from_value(script.clone()).unwrap();
    Answer::to(dialect, request, &script, 1, 0)
}

/// The pieces that stand at this place in the events, put together.
fn streamed(events: &[String], place: &str) -> String {
    let data = events.iter().filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    let values = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    values.filter_map(|event| Some(event.pointer(place)?.as_str()?.to_owned())).collect()
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let said = "grüße 😀 and more";
    let parts = json!([{"type": "text", "text": said}]);
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": parts}, {"role": "tool", "content": "x"}]});
    let input = json!({"model": "m", "input": [{"role": "user", "content": parts}]});
    let prompt = json!({"model": "m", "prompt": said});
    for (dialect, request, whole, piece) in [
        (Dialect::Chat, &messages, "/choices/0/message/content", "/choices/0/delta/content"),
        (Dialect::Completions, &prompt, "/choices/0/text", "/choices/0/text"),
        (Dialect::Messages, &messages, "/content/0/text", "/delta/text"),
        (Dialect::Responses, &input, "/output/0/content/0/text", "/delta"),
    ] {
        let answer = answer(dialect, request, &json!({}));
        let body = answer.whole(dialect);
        assert_eq!(body.pointer(whole).unwrap(), &format!("You said: {said}"), "{dialect:?}");
        assert_eq!(streamed(&answer.events(dialect, 7), piece), format!("You said: {said}"), "{dialect:?}");
    }
}

#[test]
fn calls_of_tools_are_streamed_in_pieces_one_by_one() {
    let script = json!({"calls": [{"name": "find", "arguments": {"place": "Zürich"}}, {"name": "ask", "arguments": {"a": 1}}]});
    for (dialect, piece) in [
        (Dialect::Chat, "/choices/0/delta/tool_calls/0/function/arguments"),
        (Dialect::Messages, "/delta/partial_json"),
        (Dialect::Responses, "/delta"),
    ] {
        let events = answer(dialect, &json!({}), &script).events(dialect, 3);
        assert_eq!(streamed(&events, piece), r#"{"place":"Zürich"}{"a":1}"#, "{dialect:?}");
    }
}

#[test]
fn each_text_has_an_embedding() {
    let whole =
        answer(Dialect::Embeddings, &json!({"input": ["a", "b c"]}), &json!({})).whole(Dialect::Embeddings);
    assert_eq!(whole["data"].as_array().unwrap().len(), 2);
    assert_eq!(whole["usage"]["prompt_tokens"], 3);
}
