//! What redaction promises of any body: nothing left to find, still JSON, all other bytes as they were.

use policy_config::schema::{MarkerFormat, PolicySettings};
use policy_engine::{Endpoint, Engine, Nowhere, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{engine, parsed, pii, request, user};

fn redactor() -> Engine {
    let mut settings = pii();
    settings.healthcare_mode = true;
    engine(vec![PolicySettings::PiiDetector(settings)])
}

fn sent(engine: &Engine, body: &[u8]) -> Vec<u8> {
    let inspection = engine.inspect_request(Endpoint::ChatCompletions, body, &Nowhere).unwrap();
    assert!(inspection.block.is_none(), "{inspection:?}");
    inspection.body.unwrap_or_else(|| body.to_vec())
}

#[test]
fn escapes_hide_nothing_and_everything_else_keeps_its_bytes() {
    let body = r#" {"model":"gpt-5", "x":1e400,"messages":[{"role":"user","content":"\u006aane\u0040example.com \"q\" \/ 4111\u00201111 1111 1111"}],"unknown":{"a":[null,0.10]}} "#;
    let expected = body
        .replace(r"\u006aane\u0040example.com", "[EMAIL]")
        .replace(r"4111\u00201111 1111 1111", "[CREDIT_CARD]");
    assert_eq!(String::from_utf8(sent(&redactor(), body.as_bytes())).unwrap(), expected);
}

#[test]
fn json_inside_a_string_is_read_as_json_and_stays_json() {
    let arguments =
        r#"{"to":"a\u0040b.org","card":4111111111111111,"deep":"{\"x\":\"c@d.org\"}","c@e.org":1}"#;
    let body = request(json!([{"role": "assistant", "content": null, "tool_calls": [
        {"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}]}]));
    let sent = parsed(&sent(&redactor(), &body));
    let left = sent["messages"][0]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let expected =
        json!({"to": "[EMAIL]", "card": "[CREDIT_CARD]", "deep": "{\"x\":\"[EMAIL]\"}", "[EMAIL]": 1});
    assert_eq!(serde_json::from_str::<Value>(left).unwrap(), expected);
}

#[test]
fn markers_take_the_form_that_was_asked_for() {
    for (format, expected) in [
        (MarkerFormat::Label, "to [EMAIL]."),
        (MarkerFormat::Mask, "to **************."),
        (MarkerFormat::Partial, "to **********.org."),
    ] {
        let mut settings = pii();
        settings.marker_format = format;
        let engine = engine(vec![PolicySettings::PiiDetector(settings)]);
        assert_eq!(parsed(&sent(&engine, &user("to jane@mails.org.")))["messages"][0]["content"], expected);
    }
    let mut settings = pii();
    settings.custom_markers.insert("EMAIL".to_owned(), "\"mail\"\\".to_owned());
    let engine = engine(vec![PolicySettings::PiiDetector(settings)]);
    assert_eq!(parsed(&sent(&engine, &user("a@b.org")))["messages"][0]["content"], "\"mail\"\\");
}

#[test]
fn own_patterns_are_redacted_under_their_label() {
    let mut settings = pii();
    settings.detect_patterns.insert("EMPLOYEE_ID".to_owned(), r"\bE-\d{5}\b".to_owned());
    settings.detect_patterns.insert("WORD".to_owned(), r"[A-Z]{4,}".to_owned());
    let engine = engine(vec![PolicySettings::PiiDetector(settings)]);
    let sent = parsed(&sent(&engine, &user("E-12345 at HQ, a@b.org, SECRET")));
    assert_eq!(sent["messages"][0]["content"], "[EMPLOYEE_ID] at HQ, [EMAIL], [WORD]");
}

#[test]
fn a_whole_response_is_redacted_with_its_tokens() {
    let body = json!({"id": "x", "model": "a@b.org", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "write to a@b.org"},
        "logprobs": {"content": [{"token": "a@b.org"}]}}]});
    let inspection =
        redactor().inspect_response(Endpoint::ChatCompletions, body.to_string().as_bytes(), &Nowhere);
    assert_eq!(inspection.verdict, Verdict::Redact);
    let sent = parsed(&inspection.body.unwrap());
    assert_eq!(sent["choices"][0]["message"]["content"], "write to [EMAIL]");
    assert_eq!(sent["choices"][0]["logprobs"], Value::Null);
    let unreadable =
        redactor().inspect_response(Endpoint::ChatCompletions, b"<html>a@b.org</html>", &Nowhere);
    assert_eq!(unreadable.block.unwrap().code, "output_blocked");
    let twice = redactor()
        .inspect_response(Endpoint::ChatCompletions, br#"{"a@b.org":1,"a@b.org":2}"#, &Nowhere)
        .block
        .unwrap();
    assert!(twice.message.contains("twice") && !twice.message.contains("a@b"), "{}", twice.message);
    let mut stream = redactor().stream_inspector(Endpoint::ChatCompletions, std::sync::Arc::new(Nowhere));
    let out = stream.push(bytes::Bytes::from("data: {\"a@b.org\":1,\"a@b.org\":2}\n\n"));
    assert!(!String::from_utf8_lossy(&out).contains("a@b"));
}

/// Bits of personal data, of what surrounds it, and of what glues them together.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "jane@example.com",
            "4111 1111 1111 1111",
            "378282246310005",
            "536-22-8726",
            "192.168.0.1",
            "2001:db8::1",
            "DE89370400440532013000",
            "+14155552671",
            "(415) 555-2671",
            "020 7946 0958",
            "NPI 1234567893",
            "MRN: A1234567",
            "ssn",
            "v",
            "version",
            "\u{e9}",
            "😀",
            "\"",
            "\\",
            "\n",
            "{",
            "[",
        ])
        .prop_map(str::to_owned),
        "[0-9]{1,4}",
        "[ .@:/+()_a-z-]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn redaction_leaves_nothing_behind_and_is_done_after_once(text in text()) {
        let engine = shared();
        let body = user(&text);
        let once = sent(engine, &body);
        let content = parsed(&once)["messages"][0]["content"].as_str().unwrap().to_owned();
        let again = engine.inspect_request(Endpoint::ChatCompletions, &once, &Nowhere).unwrap();
        prop_assert_eq!(again.verdict, Verdict::Allow, "{:?} became {:?}", text, content);
        prop_assert!(again.body.is_none());
    }

    #[test]
    fn bytes_outside_of_texts_are_kept(text in text(), spaces in "[ \n]{0,3}", number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?") {
        let before = format!("{spaces}{{\"model\":{spaces}\"gpt-5\",\"n\":{number},\"messages\":[{{\"role\":\"user\",\"content\":");
        let after = format!("{spaces}}}],\"z\":{{{spaces}}}}}{spaces}");
        let body = format!("{before}{}{after}", json!(text));
        let sent = String::from_utf8(sent(shared(), body.as_bytes())).unwrap();
        prop_assert!(sent.starts_with(&before) && sent.ends_with(&after), "{sent}");
        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&sent).is_ok(), "{sent}");
    }

    #[test]
    fn no_body_makes_the_engine_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), text in any::<String>()) {
        let _ = shared().inspect_request(Endpoint::ChatCompletions, &bytes, &Nowhere);
        let _ = shared().inspect_response(Endpoint::ChatCompletions, &bytes, &Nowhere);
        let _ = shared().inspect_request(Endpoint::ChatCompletions, &user(&text), &Nowhere);
    }
}

fn shared() -> &'static Engine {
    static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(redactor);
    &ENGINE
}

#[test]
fn what_stands_beside_many_vectors_is_redacted_and_they_stay_as_they_were() {
    let vector = format!("[{}0.25]", "-1.5e-3,".repeat(1535));
    let vectors = vec![format!("{{\"embedding\":{vector},\"index\":0}}"); 300].join(",");
    let body =
        format!(r#"{{"data":[{vectors}],"note":"of jane@example.com [1]","usage":{{"prompt_tokens":5}}}}"#);
    let inspection = redactor().inspect_response(Endpoint::Embeddings, body.as_bytes(), &Nowhere);
    assert_eq!(inspection.verdict, Verdict::Redact);
    let left = String::from_utf8(inspection.body.unwrap()).unwrap();
    assert!(left == body.replace("jane@example.com", "[EMAIL]"), "{}", &left[left.len() - 200..]);
    assert_eq!(inspection.usage.unwrap().input_tokens, 5);
}
