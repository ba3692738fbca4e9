//! A request of each endpoint, and what is said of one that is none.

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
