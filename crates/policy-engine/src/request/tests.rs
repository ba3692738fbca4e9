//! A request of each endpoint, and what is said of one that is none.

use super::*;

#[test]
fn a_refusal_names_the_field() {
    for (body, expected) in [
        ("[]", "the request body must be a JSON object"),
        ("{}", "`model` is required"),
        (r#"{"model":5}"#, "`model` must be a string"),
        (r#"{"model":""}"#, "`model` must be a model name"),
        (r#"{"model":"m "}"#, "`model` must be a model name of plain characters, without blanks"),
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
        assert_eq!(read(Endpoint::ChatCompletions, body.as_bytes()).expect_err(body).to_string(), expected);
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

#[test]
fn each_endpoint_says_which_field_is_wrong() {
    for (endpoint, body, expected) in [
        (Endpoint::Completions, r#"{"model":"m"}"#, "`prompt` is required"),
        (
            Endpoint::Completions,
            r#"{"model":"m","prompt":[]}"#,
            "`prompt` must be a string or an array of strings",
        ),
        (Endpoint::Completions, r#"{"model":"m","prompt":["a",{}]}"#, "`prompt[1]` must be a string"),
        (Endpoint::Embeddings, r#"{"model":"m"}"#, "`input` is required"),
        (
            Endpoint::Embeddings,
            r#"{"model":"m","input":null}"#,
            "`input` must be a string or an array of strings",
        ),
        (Endpoint::Responses, r#"{"model":"m"}"#, "`input` is required"),
        (Endpoint::Responses, r#"{"model":"m","input":7}"#, "`input` must be a string or an array of items"),
        (Endpoint::Responses, r#"{"model":"m","input":["a"]}"#, "`input[0]` must be an object"),
        (Endpoint::Responses, r#"{"model":"m","input":[{"role":1}]}"#, "`input[0].role` must be a string"),
        (
            Endpoint::Responses,
            r#"{"model":"m","input":"a","instructions":1}"#,
            "`instructions` must be a string",
        ),
        (Endpoint::Messages, r#"{"model":"m"}"#, "`messages` is required"),
        (
            Endpoint::Messages,
            r#"{"model":"m","system":1,"messages":[]}"#,
            "`system` must be a string or an array of blocks",
        ),
        (
            Endpoint::Messages,
            r#"{"model":"m","messages":[{"role":"user"}]}"#,
            "`messages[0].content` is required",
        ),
        (
            Endpoint::Messages,
            r#"{"model":"m","messages":[{"role":"user","content":null}]}"#,
            "`messages[0].content` must be a string or an array of blocks",
        ),
    ] {
        assert_eq!(read(endpoint, body.as_bytes()).expect_err(body).to_string(), expected, "{body}");
    }
}

#[test]
fn what_may_stand_for_a_text_is_taken() {
    for (endpoint, body, tokens) in [
        (Endpoint::Completions, r#"{"model":"m","prompt":null}"#, None),
        (Endpoint::Completions, r#"{"model":"m","prompt":[1,2]}"#, Some("prompt")),
        (Endpoint::Embeddings, r#"{"model":"m","input":["a",[1]]}"#, Some("input[1]")),
        (Endpoint::Responses, r#"{"model":"m","previous_response_id":"r"}"#, None),
        (Endpoint::Responses, r#"{"model":"m","prompt":{"id":"p"}}"#, None),
        (Endpoint::Responses, r#"{"model":"m","input":[]}"#, None),
        (Endpoint::Messages, r#"{"model":"m","messages":[{"role":"user","content":[]}]}"#, None),
    ] {
        let head = read(endpoint, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(head.tokens.as_deref(), tokens, "{body}");
    }
}

#[test]
fn a_model_has_one_spelling() {
    let read_as = |model: &str| {
        let body = serde_json::json!({"model": model, "messages": [{"role": "user"}]}).to_string();
        read(Endpoint::ChatCompletions, body.as_bytes()).map(|head| head.model)
    };
    for model in ["gpt-5-pro", "meta-llama/Llama-3.3:free", "a@b#c(d)", "модель-1", "模型"] {
        assert_eq!(read_as(model).as_deref(), Ok(model));
    }
    for model in [
        "gpt-5 ",
        "gpt-5\n",
        " gpt",
        "g\u{200b}pt",
        "gpt\u{2011}5",
        "gpt\0",
        "g\u{301}",
        "\u{ff47}pt",
        "gpt\u{3000}",
        "gpt\u{1160}",
        "\u{e0067}",
    ] {
        assert!(matches!(read_as(model), Err(RequestError::WrongType { .. })), "{model:?}");
    }
}
