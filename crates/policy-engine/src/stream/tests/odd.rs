//! Streams as the less careful providers send them, and as one would send them who wants to hide something.

use super::whole::{chains, redacted, text};
use super::*;

fn redact(endpoint: Endpoint, source: &str) -> (String, Inspection) {
    let whole = run(at(endpoint, PolicyMode::Enforce, PiiAction::Redact), &[source.as_bytes()]);
    let parts: Vec<&[u8]> = source.as_bytes().chunks(13).collect();
    assert_eq!(run(at(endpoint, PolicyMode::Enforce, PiiAction::Redact), &parts), whole);
    whole
}

fn chat(source: &[String]) -> String {
    let (out, inspection) = redact(Endpoint::ChatCompletions, &source.concat());
    assert!(inspection.block.is_none(), "{out}");
    out
}

/// The data of all events, in order.
fn events(out: &str) -> Vec<serde_json::Value> {
    let data = out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// What a field of the first choice says over all events.
fn said(out: &str, pointer: &str) -> String {
    let events = events(out);
    events.iter().filter_map(|event| event["choices"][0].pointer(pointer)?.as_str()).collect()
}

fn event(data: serde_json::Value) -> String {
    format!("data: {data}\n\n")
}

fn call(index: u64, arguments: &str) -> String {
    let call = serde_json::json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]});
    chunk(&call.to_string(), "null")
}

fn begun_call(index: u64) -> String {
    let call = serde_json::json!({"tool_calls": [{"index": index, "id": format!("c{index}"), "type": "function",
        "function": {"name": "f", "arguments": ""}}]});
    chunk(&call.to_string(), "null")
}

/// The stream was ended with an error, and nothing follows it.
fn assert_unreadable(endpoint: Endpoint, source: &str, hidden: &str) {
    let (out, inspection) = redact(endpoint, source);
    assert_eq!(inspection.block.map(|block| block.reason_code), Some("response.unreadable"), "{out}");
    assert!(out.contains("\"code\":\"output_blocked\"") && !out.contains(hidden), "{out}");
}

#[test]
fn an_empty_reason_ends_no_text() {
    for none in ["\"\"", "null"] {
        let parts = ["Mail jane@ex", "ample.com or 4111 1111 ", "1111 1111 now"];
        let mut source = parts.map(|part| chunk(&format!("{{\"content\":\"{part}\"}}"), none)).to_vec();
        source.push(chunk("{}", "\"stop\""));
        assert_eq!(said(&chat(&source), "/delta/content"), "Mail [EMAIL] or [CREDIT_CARD] now");
    }
}

#[test]
fn a_text_that_goes_on_behind_its_end_is_judged_with_what_was_sent_of_it() {
    let stopped = |part: &str| chunk(&format!("{{\"content\":\"{part}\"}}"), "\"stop\"");
    let out = chat(&["Hello wor", "ld, ag", "ain."].map(stopped));
    assert_eq!(said(&out, "/delta/content"), "Hello world, again.");
    let source = [stopped("mail jane@ex"), stopped("ample.com x")].concat();
    assert_unreadable(Endpoint::ChatCompletions, &source, "ample");
    let spelled = ["ssn ", "5", "3", "6", "228726 x"].map(stopped).concat();
    assert_unreadable(Endpoint::ChatCompletions, &spelled, "228726");

    let delta = |text: &str| {
        event(serde_json::json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": text}}))
    };
    let stop = event(serde_json::json!({"type": "content_block_stop", "index": 0}));
    assert_unreadable(Endpoint::Messages, &[delta("to jane@ex"), stop, delta("ample.com")].concat(), "ample");

    let delta = |text: &str| {
        event(serde_json::json!({"type": "response.output_text.delta", "item_id": "m",
            "output_index": 0, "content_index": 0, "delta": text}))
    };
    let done =
        event(serde_json::json!({"type": "response.output_text.done", "item_id": "m", "output_index": 0}));
    assert_unreadable(
        Endpoint::Responses,
        &[delta("to jane@ex"), done, delta("ample.com")].concat(),
        "ample",
    );
}

#[test]
fn a_call_is_whole_before_the_next_one_begins() {
    let source = [
        begun_call(0),
        call(0, "{\"a\":"),
        call(0, "1}"),
        begun_call(1),
        call(1, "{\"b\":\"a@b.org\"}"),
        chunk("{}", "\"tool_calls\""),
    ];
    let calls: Vec<(u64, String)> = events(&chat(&source))
        .iter()
        .filter_map(|event| {
            let call = &event["choices"][0]["delta"]["tool_calls"][0];
            Some((call["index"].as_u64()?, call["function"]["arguments"].as_str()?.to_owned()))
        })
        .collect();
    let calls: Vec<(u64, &str)> = calls.iter().map(|(at, text)| (*at, text.as_str())).collect();
    assert_eq!(calls, [(0, ""), (0, "{\"a\":1}"), (1, ""), (1, "{\"b\":\"[EMAIL]\"}")]);
}

#[test]
fn calls_in_one_place_are_told_apart_by_their_ids() {
    let call = |id: &str, arguments: &str| {
        let call = serde_json::json!({"tool_calls": [{"index": 0, "id": id, "type": "function",
            "function": {"name": "f", "arguments": arguments}}]});
        chunk(&call.to_string(), "null")
    };
    let source = [
        call("first", "{\"a\":"),
        call("first", "4111111111111111}"),
        call("second", "{\"to\":\"a\\u0040b.org\"}"),
        chunk("{}", "\"tool_calls\""),
    ];
    let out = chat(&source);
    let whole = r#"{"a":"[CREDIT_CARD]"}{"to":"[EMAIL]"}"#;
    assert_eq!(said(&out, "/delta/tool_calls/0/function/arguments"), whole);
    assert!(out.find("CREDIT_CARD") < out.find("second"), "{out}");
}

#[test]
fn a_text_is_whole_before_another_of_its_choice_begins_and_before_an_error() {
    let source = [
        chunk(r#"{"reasoning_content":"think 4155"}"#, "null"),
        chunk(r#"{"content":"Answer 12"}"#, "null"),
        begun_call(0),
        call(0, "{}"),
        event(serde_json::json!({"error": {"message": "overloaded, ask a@b.org"}})),
    ];
    let out = chat(&source);
    let order = ["4155", "Answer", "12", "\"id\":\"c0\"", "{}", "overloaded, ask [EMAIL]"];
    let places: Vec<usize> = order.iter().map(|part| out.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{places:?} {out}");
}

#[test]
fn texts_of_one_choice_that_come_side_by_side_flow_side_by_side() {
    let both = |part: &str| {
        chunk(
            &format!(
                "{{\"reasoning\":\"{part}\",\"reasoning_details\":[{{\"type\":\"reasoning.text\",\"text\":\"{part}\",\"index\":0}}]}}"
            ),
            "null",
        )
    };
    let out = chat(&[both("jane@ex"), both("ample.com so"), chunk("{}", "\"stop\"")]);
    assert_eq!(said(&out, "/delta/reasoning"), "[EMAIL] so");
    assert_eq!(said(&out, "/delta/reasoning_details/0/text"), "[EMAIL] so");
    for event in events(&out)
        .iter()
        .filter(|event| event["choices"][0]["delta"]["reasoning_details"][0]["text"] == "so")
    {
        assert_eq!(event["choices"][0]["delta"]["reasoning_details"][0]["type"], "reasoning.text", "{out}");
    }
}

#[test]
fn a_part_that_was_held_says_what_it_is() {
    let part =
        |text: &str| chunk(&format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}"), "null");
    let source = [
        part("mail jane@ex"),
        part("ample.com then"),
        chunk(r#"{"content":"Answer."}"#, "null"),
        chunk("{}", "\"stop\""),
    ];
    let out = chat(&source);
    assert_eq!(said(&out, "/delta/content/0/text"), "mail [EMAIL] then");
    assert_eq!(said(&out, "/delta/content"), "Answer.");
    for event in events(&out) {
        if let Some(part) = event["choices"][0]["delta"]["content"].get(0) {
            assert_eq!(part["type"], "text", "{out}");
        }
    }
    assert!(out.find("then") < out.find("Answer."), "{out}");
}

#[test]
fn only_what_is_known_of_an_event_passes_beside_its_data() {
    let hi = "data: {\"choices\":[]}\n\n";
    for (source, left) in [
        (": call jane@example.com\n\n", ":\n\n"),
        (":\n\nevent: ping\nid: 7-a\nretry: 100\n\n", ":\n\nevent: ping\nid: 7-a\nretry: 100\n\n"),
        ("event\nid:\n\n", "event\nid:\n\n"),
    ] {
        let (out, inspection) = redact(Endpoint::ChatCompletions, &format!("{source}{hi}"));
        assert_eq!(out, format!("{left}{hi}"));
        assert!(inspection.block.is_none());
    }
    let whole = r#"{"choices":[{"index":0,"message":{"content":"jane@example.com"}}]}"#;
    for source in [
        "id: jane@example.com\n\n".to_owned(),
        format!("event: to jane\n{hi}"),
        "retry: 4155552671 jane\n\n".to_owned(),
        format!("foo: jane@example.com\n{hi}"),
        format!("{hi}\u{feff}data: {{\"x\":\"jane@example.com\"}}\n\n"),
        whole.to_owned(),
        format!("{whole}\n"),
        format!("{hi}{whole}\n\n"),
    ] {
        assert_unreadable(Endpoint::ChatCompletions, &source, "jane");
    }
}

#[test]
fn no_string_of_a_choice_or_delta_hides_a_split() {
    let choice =
        |text: &str| event(serde_json::json!({"choices": [{"index": 0, "delta": {}, "more": text}]}));
    assert_unreadable(
        Endpoint::ChatCompletions,
        &[choice("jane@ex"), choice("ample.com now")].concat(),
        "ample",
    );
    let severity = event(serde_json::json!({"choices": [{"index": 0, "delta": {"content": "so "},
        "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}}]}));
    assert_eq!(redact(Endpoint::ChatCompletions, &severity.repeat(3)).0, severity.repeat(3));

    let name = |name: &str| {
        let call = serde_json::json!({"tool_calls": [{"index": 0, "function": {"name": name}}]});
        chunk(&call.to_string(), "null")
    };
    assert_unreadable(
        Endpoint::ChatCompletions,
        &[name("jane"), name("@example.com")].concat(),
        "example.com",
    );
    assert_unreadable(Endpoint::ChatCompletions, &[name("jane@ex"), name("ample.com")].concat(), "ample");
    assert_eq!(chat(&[name("fi"), name("nd")]), [name("fi"), name("nd")].concat());

    let block = |text: &str| {
        event(serde_json::json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "compaction_delta", "content": text}}))
    };
    let stop = event(serde_json::json!({"type": "content_block_stop", "index": 0}));
    let (out, _) =
        redact(Endpoint::Messages, &[block("mail jane@ex"), block("ample.com now"), stop].concat());
    let texts: String = events(&out).iter().filter_map(|event| event["delta"]["content"].as_str()).collect();
    assert_eq!(texts, "mail [EMAIL] now");
    assert!(
        events(&out)
            .iter()
            .all(|event| event["delta"].is_null() || event["delta"]["type"] == "compaction_delta")
    );

    let delta = |text: &str| {
        event(serde_json::json!({"type": "response.note.delta", "item_id": "m", "output_index": 0,
            "delta": {"note": text}}))
    };
    let (out, _) = redact(Endpoint::Responses, &[delta("mail jane@ex"), delta("ample.com now")].concat());
    let texts: String = events(&out).iter().filter_map(|event| event["delta"]["note"].as_str()).collect();
    assert_eq!(texts, "mail [EMAIL] now");

    let chunk = |text: &str| chunk(&format!("{{\"content\":\"{text}\"}}"), "null");
    for endpoint in [Endpoint::Responses, Endpoint::Messages] {
        let (out, _) = redact(endpoint, &[chunk("mail jane@ex"), chunk("ample.com now")].concat());
        assert_eq!(said(&out, "/delta/content"), "mail [EMAIL] now");
    }
}

#[test]
fn notes_that_are_whole_in_each_event_are_not_run_together() {
    let note = |title: &str| {
        chunk(
            &serde_json::json!({"annotations": [{"type": "url_citation", "url_citation": {"title": title}}]})
                .to_string(),
            "null",
        )
    };
    let source = [note("First 12"), note("Second, of a@b.org"), note("Second")];
    assert_eq!(chat(&source), source.concat().replace("a@b.org", "[EMAIL]"));
    let cited = |text: &str| {
        event(serde_json::json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "citations_delta", "citation": {"type": "page_location", "cited_text": text}}}))
    };
    let source = [cited("page 12"), cited("other 3")].concat();
    assert_eq!(redact(Endpoint::Messages, &source).0, source);
}

#[test]
fn a_key_that_is_text_leaves_with_its_event_alone() {
    let (out, _) = redact(Endpoint::ChatCompletions, &chunk(r#"{"jane@example.com":"a1"}"#, "null"));
    assert!(out.contains(r#"{"[EMAIL]":"a1"}"#) && !out.contains("jane"), "{out}");
}

#[test]
fn an_event_has_so_many_texts_and_no_more() {
    let members: Vec<String> = (0..5000).map(|at| format!("\"k{at}\":\"a1\"")).collect();
    let source = chunk(&format!("{{{}}}", members.join(",")), "null");
    let (out, inspection) = redact(Endpoint::ChatCompletions, &source);
    let block = inspection.block.expect(&out);
    assert_eq!(block.reason_code, "response.unreadable");
    assert!(block.message.contains("4096 texts"), "{}", block.message);
}

#[test]
fn a_message_that_grows_beside_the_delta_shows_what_is_decided() {
    let step = |delta: &str, message: &str, finish: Option<&str>| {
        event(serde_json::json!({"choices": [{"index": 0, "delta": {"content": delta},
            "message": {"role": "assistant", "content": message}, "finish_reason": finish}]}))
    };
    let out = chat(&[
        step("Hello", "Hello", None),
        step(" jane@ex", "Hello jane@ex", None),
        step("ample.com bye", "Hello jane@example.com bye", None),
        step("", "Hello jane@example.com bye", Some("stop")),
    ]);
    assert_eq!(said(&out, "/delta/content"), "Hello [EMAIL] bye");
    let events = events(&out);
    let grown: Vec<&str> =
        events.iter().filter_map(|event| event["choices"][0]["message"]["content"].as_str()).collect();
    assert!(grown.windows(2).all(|pair| pair[1].starts_with(pair[0])), "{grown:?}");
    assert_eq!(grown.last(), Some(&"Hello [EMAIL] bye"));
}

#[test]
fn tokens_by_number_are_taken_out() {
    let source = event(
        serde_json::json!({"prompt_token_ids": [1, 2], "prompt_logprobs": [{"1": {"decoded_token": "x"}}],
        "choices": [{"index": 0, "delta": {"content": "to a@b.org "}, "token_ids": [3, 4], "prompt_token_ids": [5]}]}),
    );
    let (out, _) = redact(Endpoint::ChatCompletions, &source);
    let event = &events(&out)[0];
    for tokens in
        ["/prompt_token_ids", "/prompt_logprobs", "/choices/0/token_ids", "/choices/0/prompt_token_ids"]
    {
        assert_eq!(event.pointer(tokens), Some(&serde_json::json!([])), "{tokens}");
    }
}

#[test]
fn a_place_that_is_no_number_is_refused() {
    for index in ["0.0", "\"0\"", "-1", "1e0", "{}"] {
        let chunk =
            format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"jane\"}}}}]}}\n\n");
        assert_unreadable(Endpoint::ChatCompletions, &chunk, "jane");
        let call =
            format!("{{\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":\"jane\"}}}}]}}");
        assert_unreadable(Endpoint::ChatCompletions, &self::chunk(&call, "null"), "jane");
        let block = format!(
            "data: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"text\":\"jane\"}}}}\n\n"
        );
        assert_unreadable(Endpoint::Messages, &block, "jane");
        let delta = format!(
            "data: {{\"type\":\"response.output_text.delta\",\"output_index\":{index},\"delta\":\"jane\"}}\n\n"
        );
        assert_unreadable(Endpoint::Responses, &delta, "jane");
    }
}

#[test]
fn a_match_that_grows_behind_the_end_of_its_text_leaves_nothing_of_it() {
    let part = |part: &str, finish: &str| chunk(&format!("{{\"content\":\"{part}\"}}"), finish);
    let source = [part("so NB: all", "\"stop\""), part(" of this", "\"stop\""), part("\\nend", "\"stop\"")];
    let inspector =
        StreamInspector::new(Endpoint::ChatCompletions, Arc::clone(&chains()[0]), Arc::new(Nowhere));
    let (out, inspection) = run(inspector, &[source.concat().as_bytes()]);
    assert!(inspection.block.is_none(), "{out}");
    assert_eq!(said(&out, "/delta/content"), "so [LINE]\nend");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_text_that_ends_again_and_again_is_redacted_as_a_whole_or_stopped(
        text in text(),
        steps in prop::collection::vec((1usize..20, any::<bool>()), 1..20),
        masked in 0usize..2,
    ) {
        let chain = &chains()[masked];
        let (mut source, mut left) = (String::new(), text.as_str());
        for (length, ends) in steps.iter().cycle() {
            let (part, rest) = left.split_at(left.ceil_char_boundary((*length).min(left.len())));
            let delta = serde_json::json!({"content": part}).to_string();
            source += &chunk(&delta, if *ends || rest.is_empty() { "\"stop\"" } else { "null" });
            left = rest;
            if rest.is_empty() {
                break;
            }
        }
        let inspector =
            StreamInspector::new(Endpoint::ChatCompletions, Arc::clone(chain), Arc::new(Nowhere));
        let (out, inspection) = run(inspector, &[source.as_bytes()]);
        if inspection.block.is_none() {
            prop_assert_eq!(said(&out, "/delta/content"), redacted(chain, &text), "{}", source);
        }
    }
}
