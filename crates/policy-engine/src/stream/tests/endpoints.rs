//! Streams of every endpoint: redacted over events, whole again in the events that repeat the text, ended in the
//! way of the endpoint.

use super::*;

/// The data of the events of one kind, in order.
fn data(out: &str, kind: &str) -> Vec<serde_json::Value> {
    let events = out.split("\n\n").filter_map(|event| {
        event.lines().find_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]")
    });
    let read = events.map(|data| serde_json::from_str::<serde_json::Value>(data).unwrap());
    read.filter(|data| data["type"] == kind).collect()
}

fn joined(out: &str, kind: &str, field: &[&str]) -> String {
    let events = data(out, kind);
    let texts = events.iter().filter_map(|event| field.iter().fold(event, |at, key| &at[*key]).as_str());
    texts.collect()
}

/// Events as `responses` and `messages` name and write them.
fn named(events: &[serde_json::Value]) -> String {
    let event =
        |data: &serde_json::Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    events.iter().map(event).collect()
}

fn redact(endpoint: Endpoint, source: &str) -> (String, Inspection) {
    let whole = run(at(endpoint, PolicyMode::Enforce, PiiAction::Redact), &[source.as_bytes()]);
    for step in [1, 7, 100] {
        let parts: Vec<&[u8]> = source.as_bytes().chunks(step).collect();
        assert_eq!(run(at(endpoint, PolicyMode::Enforce, PiiAction::Redact), &parts), whole);
    }
    whole
}

fn responses() -> Vec<serde_json::Value> {
    let said = "Write to jane.doe@example.com or call (415) 555-2671";
    let arguments = r#"{"to":"jane.doe@example.com"}"#;
    let item = serde_json::json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": said, "annotations": [], "logprobs": [{"token": "jane"}]}]});
    let call = serde_json::json!({"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f",
        "arguments": arguments, "status": "completed"});
    let mut events = vec![
        serde_json::json!({"type": "response.created", "response": {"id": "r", "output": []}}),
        serde_json::json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_1", "type": "message", "content": []}}),
        serde_json::json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": ""}}),
    ];
    let delta = |part: &str| {
        serde_json::json!({"type": "response.output_text.delta", "item_id": "msg_1",
        "output_index": 0, "content_index": 0, "delta": part, "logprobs": [{"token": part}]})
    };
    events.extend(["Write to jane", ".doe@exam", "ple.com or call (415) 5", "55-2671"].map(delta));
    events.extend([
        serde_json::json!({"type": "response.output_text.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "text": said, "logprobs": []}),
        serde_json::json!({"type": "response.content_part.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": item["content"][0]}),
        serde_json::json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
    ]);
    let delta = |part: &str| {
        serde_json::json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1",
        "output_index": 1, "delta": part})
    };
    events.extend(["{\"to\":\"ja", "ne.doe@example.com\"}"].map(delta));
    events.extend([
        serde_json::json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 1, "arguments": arguments}),
        serde_json::json!({"type": "response.output_item.done", "output_index": 1, "item": call}),
        serde_json::json!({"type": "response.completed", "response": {"id": "r", "output": [item, call],
            "usage": {"input_tokens": 3, "output_tokens": 9}}}),
    ]);
    for (at, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = at.into();
    }
    events
}

#[test]
fn deltas_of_responses_say_what_the_events_say_that_repeat_them() {
    let (out, inspection) = redact(Endpoint::Responses, &named(&responses()));
    let said = "Write to [EMAIL] or call [PHONE]";
    assert_eq!(joined(&out, "response.output_text.delta", &["delta"]), said);
    assert_eq!(joined(&out, "response.output_text.done", &["text"]), said);
    assert_eq!(joined(&out, "response.content_part.done", &["part", "text"]), said);
    let arguments = r#"{"to":"[EMAIL]"}"#;
    assert_eq!(joined(&out, "response.function_call_arguments.delta", &["delta"]), arguments);
    assert_eq!(joined(&out, "response.function_call_arguments.done", &["arguments"]), arguments);
    let last = &data(&out, "response.completed")[0]["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], said);
    assert_eq!(last["output"][1]["arguments"], arguments);
    assert!(!out.contains("jane") && !out.contains("2671"), "{out}");
    let numbers = out
        .match_indices("\"sequence_number\":")
        .map(|(at, key)| out[at + key.len()..].split([',', '}']).next().unwrap().parse::<usize>().unwrap());
    let numbers: Vec<usize> = numbers.collect();
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "{out}");
    assert!(numbers.len() > responses().len());
    assert_eq!(inspection.usage, Some(crate::Usage { input_tokens: 3, output_tokens: 9 }));
    assert_eq!(inspection.verdict, Verdict::Redact);
}

fn messages() -> Vec<serde_json::Value> {
    let delta = |index: u64, delta: serde_json::Value| serde_json::json!({"type": "content_block_delta", "index": index, "delta": delta});
    vec![
        serde_json::json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 25, "output_tokens": 1}}}),
        serde_json::json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        serde_json::json!({"type": "ping"}),
        delta(0, serde_json::json!({"type": "thinking_delta", "thinking": "they are jane.doe@"})),
        delta(0, serde_json::json!({"type": "thinking_delta", "thinking": "example.com"})),
        delta(0, serde_json::json!({"type": "signature_delta", "signature": "QUJD"})),
        serde_json::json!({"type": "content_block_stop", "index": 0}),
        serde_json::json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "SSN "}}),
        delta(1, serde_json::json!({"type": "text_delta", "text": "536-22"})),
        delta(1, serde_json::json!({"type": "text_delta", "text": "-8726 is \u{1f600}"})),
        serde_json::json!({"type": "content_block_stop", "index": 1}),
        serde_json::json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
        delta(2, serde_json::json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, serde_json::json!({"type": "input_json_delta", "partial_json": "{\"ip\": \"10.0."})),
        delta(2, serde_json::json!({"type": "input_json_delta", "partial_json": "0.1\"}"})),
        serde_json::json!({"type": "content_block_stop", "index": 2}),
        serde_json::json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 15}}),
        serde_json::json!({"type": "message_stop"}),
    ]
}

#[test]
fn blocks_of_messages_are_redacted_and_end_where_they_ended() {
    let (out, inspection) = redact(Endpoint::Messages, &named(&messages()));
    assert_eq!(joined(&out, "content_block_delta", &["delta", "thinking"]), "they are [EMAIL]");
    let text = joined(&out, "content_block_start", &["content_block", "text"])
        + &joined(&out, "content_block_delta", &["delta", "text"]);
    assert_eq!(text, "SSN [SSN] is \u{1f600}");
    assert_eq!(joined(&out, "content_block_delta", &["delta", "partial_json"]), r#"{"ip": "[IP_ADDRESS]"}"#);
    let mut open = None;
    for event in out.split("\n\n").filter(|event| !event.is_empty()) {
        let (name, data) = event.split_once('\n').unwrap();
        let data: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str(), "{event}");
        match data["type"].as_str().unwrap() {
            "content_block_start" => open = Some(data["index"].clone()),
            "content_block_delta" => assert_eq!(open, Some(data["index"].clone()), "{out}"),
            "content_block_stop" => assert_eq!(open.take(), Some(data["index"].clone()), "{out}"),
            _ => assert_eq!(open, data["type"].as_str().filter(|kind| *kind == "ping").and(open.clone())),
        }
    }
    assert_eq!(inspection.usage, Some(crate::Usage { input_tokens: 25, output_tokens: 15 }));
}

#[test]
fn completions_flow_as_chats_do() {
    let chunk = |index: u64, text: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{{\"text\":\"{text}\",\"index\":{index},\"logprobs\":{{\"tokens\":[\"{text}\"]}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let source = [
        chunk(0, "to a@b", "null"),
        chunk(1, "call (415) 555", "null"),
        chunk(0, ".org and", "null"),
        chunk(1, "-2671", "\"length\""),
        chunk(0, "", "\"stop\""),
        "data: [DONE]\n\n".to_owned(),
    ];
    let (out, _) = redact(Endpoint::Completions, &source.concat());
    let texts = |index: u64| -> String {
        let events = out.split("\n\n").filter_map(|event| event.strip_prefix("data: {"));
        let read =
            events.map(|data| serde_json::from_str::<serde_json::Value>(&format!("{{{data}")).unwrap());
        let of = |event: serde_json::Value| event["choices"][0].clone();
        let choices = read.map(of).filter(|choice| choice["index"] == index);
        choices.map(|choice| choice["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((texts(0).as_str(), texts(1).as_str()), ("to [EMAIL] and", "call [PHONE]"));
    assert!(!out.contains("tokens"), "{out}");
}

#[test]
fn a_block_ends_each_stream_in_its_own_way() {
    for (endpoint, events) in [(Endpoint::Responses, responses()), (Endpoint::Messages, messages())] {
        let source = named(&events);
        let (out, inspection) =
            run(at(endpoint, PolicyMode::Enforce, PiiAction::Block), &[source.as_bytes()]);
        assert_eq!(inspection.verdict, Verdict::Block);
        let last = out.trim_end().rsplit("\n\n").next().unwrap();
        let (name, data) = last.split_once('\n').unwrap();
        assert_eq!(name, "event: error");
        let error: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(error["type"], "error");
        assert_eq!(error["error"]["type"], "policy_violation");
        assert_eq!(error["error"]["code"], "output_blocked");
        assert!(!out.contains("jane.doe"), "{out}");
        if endpoint == Endpoint::Responses {
            assert!(error["sequence_number"].as_u64().unwrap() > 3, "{error}");
            assert_eq!(
                (&error["code"], &error["param"]),
                (&"output_blocked".into(), &serde_json::Value::Null)
            );
        }
    }
}

#[test]
fn a_stream_that_nobody_reads_passes_as_the_same_bytes_and_still_tells_its_cost() {
    let mut inspector =
        StreamInspector::new(Endpoint::Messages, Arc::new(compile::chain(&[]).unwrap()), Arc::new(Nowhere));
    let bytes = Bytes::from(named(&messages()));
    assert_eq!(inspector.push(bytes.clone()).as_ptr(), bytes.as_ptr());
    assert_eq!(inspector.finish().1.usage, Some(crate::Usage { input_tokens: 25, output_tokens: 15 }));
}

#[test]
fn the_first_word_is_there_before_the_second_is_whole() {
    let mut inspector = inspector(PolicyMode::Enforce, PiiAction::Redact);
    let out = inspector.push(Bytes::from(chunk(r#"{"content":"Hello wor"}"#, "null")));
    assert!(String::from_utf8(out.to_vec()).unwrap().contains(r#""content":"Hello ""#), "{out:?}");
}

#[test]
fn each_policy_of_a_chain_reads_what_the_one_before_it_left() {
    let pii = |label: &str, pattern: &str| PiiDetector {
        mode: PolicyMode::Enforce,
        action: PiiAction::Redact,
        pci_mode: true,
        healthcare_mode: false,
        detect_patterns: [(label.to_owned(), pattern.to_owned())].into(),
        marker_format: MarkerFormat::Label,
        custom_markers: Default::default(),
    };
    let chain = [pii("FIRST", "one two"), pii("SECOND", r"\[FIRST\] three")];
    let chain = compile::chain(&chain.map(PolicySettings::PiiDetector)).unwrap();
    let inspector = StreamInspector::new(Endpoint::ChatCompletions, Arc::new(chain), Arc::new(Nowhere));
    let parts =
        ["a on", "e tw", "o thr", "ee b"].map(|part| chunk(&format!("{{\"content\":\"{part}\"}}"), "null"));
    let (out, inspection) = run(inspector, &[parts.concat().as_bytes()]);
    let texts: String =
        out.split("\"content\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(texts, "a [SECOND] b");
    assert_eq!(inspection.policies.iter().map(|record| record.redactions).collect::<Vec<_>>(), [1, 1]);
}
