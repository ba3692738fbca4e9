//! Where text is found, and what a splice leaves.

use super::*;

fn request_texts(source: &str) -> Vec<(Author, String)> {
    let document = Document::parse(source.as_bytes()).unwrap();
    let texts = Texts::of(Phase::Input, &document);
    texts.pieces().iter().map(|piece| (piece.author, piece.text().to_owned())).collect()
}

#[test]
fn text_is_found_wherever_a_request_may_hold_it() {
    let found = request_texts(
        r#"{"model":"m","messages":[
          {"role":"system","content":"s"},
          {"role":"user","name":"n","content":[{"type":"text","text":"u\u0031"},
             {"type":"image_url","image_url":{"url":"data:x"}},{"type":"later","thought":{"of":["deep"]}}]},
          {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
             "function":{"name":"f","arguments":"{\"a\":1}"}}]},
          {"role":"tool","tool_call_id":"c","content":"t"}],
         "tools":[{"type":"function","function":{"name":"f","description":"d"}}],"user":"me","stop":["x"]}"#,
    );
    let expected = [
        (Author::Application, "s"),
        (Author::User, "n"),
        (Author::User, "u1"),
        (Author::User, "deep"),
        (Author::Model, "{\"a\":1}"),
        (Author::User, "t"),
        (Author::Application, "d"),
        (Author::Application, "me"),
    ];
    assert_eq!(found, expected.map(|(author, text)| (author, text.to_owned())));
}

#[test]
fn a_key_for_names_hides_no_words() {
    let found = request_texts(
        r#"{"model":"m","metadata":{"id":"a@b.org","order id":"7"},"stop":["in words"],"messages":[
          {"role":"system\nas told","content":"s"},
          {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD","detail":"low"}},
             {"type":"input_audio","input_audio":{"data":"QUJD","format":"wav"}},{"type":"file","file_id":"f 1"}]},
          {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"say this","arguments":""}}]}],
         "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{
             "name":{"type":["string","null"],"description":"of whom"},"stop":{"description":"when"}}}}}]}"#,
    );
    let expected = [
        (Author::Application, "id"),
        (Author::Application, "a@b.org"),
        (Author::Application, "order id"),
        (Author::Application, "7"),
        (Author::User, "system\nas told"),
        (Author::User, "s"),
        (Author::User, "f 1"),
        (Author::Model, "say this"),
        (Author::Model, ""),
        (Author::Application, "of whom"),
        (Author::Application, "when"),
    ];
    assert_eq!(found, expected.map(|(author, text)| (author, text.to_owned())));
}

#[test]
fn a_splice_touches_nothing_else_and_drops_the_tokens_that_spell_the_text() {
    let source = r#"{ "id":"x", "choices":[ {"index":0,"logprobs":{"content":[{"token":"b"}]},"message":{"content":"a\u0040b c"}},
        {"index":1,"logprobs":{"content":[]},"message":{"content":"d"}}], "n":1e400 }"#;
    let document = Document::parse(source.as_bytes()).unwrap();
    let texts = Texts::of(Phase::Output, &document);
    let edit = Edit { piece: 0, range: 0..3, replacement: "[\"E\"]".to_owned() };
    let spliced = String::from_utf8(texts.splice(&document, &[edit])).unwrap();
    let expected =
        source.replacen(r#"{"content":[{"token":"b"}]}"#, "null", 1).replacen(r"a\u0040b", r#"[\"E\"]"#, 1);
    assert_eq!(spliced, expected);
}

#[test]
fn each_endpoint_has_its_texts_and_whose_words_they_are() {
    use Author::{Application, Model, User};
    let found = |endpoint, source: &str| {
        let document = Document::parse(source.as_bytes()).unwrap();
        let texts = Texts::at(endpoint, Phase::Input, &document);
        texts.pieces().iter().map(|piece| (piece.author, piece.text().to_owned())).collect::<Vec<_>>()
    };
    for (endpoint, source, expected) in [
        (
            Endpoint::Completions,
            r#"{"model":"m","prompt":["p","q"],"suffix":"s","user":"me"}"#,
            vec![(User, "p"), (User, "q"), (User, "s"), (Application, "me")],
        ),
        (
            Endpoint::Embeddings,
            r#"{"model":"m","input":"i","encoding_format":"float"}"#,
            vec![(User, "i"), (Application, "float")],
        ),
        (
            Endpoint::Responses,
            r#"{"model":"m","input":"i","instructions":"s","prompt":{"id":"p","variables":{"a":"v","b":{"type":"input_text","text":"w"}}}}"#,
            vec![(User, "i"), (Application, "s"), (User, "a"), (User, "v"), (User, "b"), (User, "w")],
        ),
        (
            Endpoint::Responses,
            r#"{"model":"m","input":[
            {"role":"developer","content":"d"},{"type":"message","role":"user","content":[{"type":"input_text","text":"u"}]},
            {"type":"function_call","name":"f","call_id":"c","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"o"},
            {"type":"reasoning","summary":[{"type":"summary_text","text":"r"}],"encrypted_content":"QUJD"},{"role":"assistant","content":"a"}],
            "tools":[{"type":"function","name":"f","description":"t"}]}"#,
            vec![
                (Application, "d"),
                (User, "u"),
                (Model, "{}"),
                (User, "o"),
                (Model, "r"),
                (Model, "a"),
                (Application, "t"),
            ],
        ),
        (
            Endpoint::Messages,
            r#"{"model":"m","system":[{"type":"text","text":"s"}],"messages":[
            {"role":"user","content":"u"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"to":"i"}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}]},
              {"type":"document","source":{"type":"text","media_type":"text/plain","data":"word"}}]}]}"#,
            vec![(Application, "s"), (User, "u"), (Model, "to"), (Model, "i"), (User, "r"), (User, "word")],
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(author, text)| (author, text.to_owned())).collect();
        assert_eq!(found(endpoint, source), expected, "{source}");
    }
}

#[test]
fn tokens_of_a_changed_item_are_taken_out() {
    let source = r#"{"output":[{"content":[{"text":"a@b.org","logprobs":[{"token":"a@b.org"}]}]},{"content":[{"text":"c","logprobs":[{"token":"c"}]}]}]}"#;
    let document = Document::parse(source.as_bytes()).unwrap();
    let texts = Texts::at(Endpoint::Responses, Phase::Output, &document);
    let edit = Edit { piece: 0, range: 0..7, replacement: "x".to_owned() };
    let spliced = String::from_utf8(texts.splice(&document, &[edit])).unwrap();
    let expected =
        source.replacen(r#""a@b.org","logprobs":[{"token":"a@b.org"}]"#, r#""x","logprobs":[]"#, 1);
    assert_eq!(spliced, expected);
}

#[test]
fn keys_of_somebody_elses_choice_exempt_nothing() {
    use Author::{Model, User};
    let input = r#"{"id":"1-2","stop":["a b"],"n":[41,true],"data":{"logprobs":"w"}}"#;
    let all = ["id", "1-2", "stop", "a b", "n", "41", "data", "logprobs", "w"];
    let found = |endpoint, phase, source: &str| {
        let document = Document::parse(source.as_bytes()).unwrap();
        let texts = Texts::at(endpoint, phase, &document);
        for piece in texts.pieces() {
            assert!(source[piece.place()..].starts_with(piece.text()), "{piece:?}");
        }
        texts.pieces().iter().map(|piece| (piece.author, piece.text().to_owned())).collect::<Vec<_>>()
    };
    for (endpoint, phase, author, source) in [
        (
            Endpoint::Messages,
            Phase::Output,
            Model,
            format!(r#"{{"content":[{{"type":"tool_use","id":"t","name":"f","input":{input}}}]}}"#),
        ),
        (
            Endpoint::Messages,
            Phase::Input,
            Model,
            format!(
                r#"{{"messages":[{{"role":"assistant","content":[{{"type":"tool_use","input":{input}}}]}}]}}"#
            ),
        ),
        (
            Endpoint::Responses,
            Phase::Input,
            User,
            format!(r#"{{"prompt":{{"id":"p","variables":{input}}}}}"#),
        ),
        (
            Endpoint::ChatCompletions,
            Phase::Output,
            Model,
            format!(
                r#"{{"choices":[{{"message":{{"tool_calls":[{{"function":{{"arguments":{input}}}}}]}}}}]}}"#
            ),
        ),
    ] {
        let expected: Vec<_> = all.iter().map(|text| (author, (*text).to_owned())).collect();
        assert_eq!(found(endpoint, phase, &source), expected, "{source}");
    }
    // and what no endpoint has there is text
    let message =
        r#"{"choices":[{"logprobs":{"content":[{"token":"x"}]},"message":{"stop":"s","logprobs":["l"]}}]}"#;
    let expected = [(Model, "s".to_owned()), (Model, "l".to_owned())];
    assert_eq!(found(Endpoint::ChatCompletions, Phase::Output, message), expected);
    let part = r#"{"output":[{"content":[{"text":"t","logprobs":[{"token":"x"}]},{"logprobs":["l"]}]}]}"#;
    let expected = [(Model, "t".to_owned()), (Model, "l".to_owned())];
    assert_eq!(found(Endpoint::Responses, Phase::Output, part), expected);
}

#[test]
fn a_number_that_is_changed_becomes_a_string() {
    let source = r#"{"content":[{"type":"tool_use","input":{"card": -4111111111111111 ,"n":2}}]}"#;
    let document = Document::parse(source.as_bytes()).unwrap();
    let texts = Texts::at(Endpoint::Messages, Phase::Output, &document);
    let edit = |range| Edit { piece: 1, range, replacement: "[\"C]".to_owned() };
    let spliced = String::from_utf8(texts.splice(&document, &[edit(1..9), edit(9..17)])).unwrap();
    assert_eq!(spliced, source.replacen("-4111111111111111", r#""[\"C]""#, 1));
}

#[test]
fn text_that_is_sent_as_media_is_read() {
    let file = "data:text/plain;base64,YUBiLm9yZw==";
    let sources = [
        format!(r#"{{"messages":[{{"role":"user","content":[{{"type":"file","file":{{"filename":"f","file_data":"{file}"}}}}]}}]}}"#),
        format!(r#"{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{file}"}}}}]}}]}}"#),
        format!(r#"{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":"{file}"}}]}}]}}"#),
        r#"{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"text/csv","data":"YUBiLm9yZw=="}}]}]}"#.to_owned(),
    ];
    for source in &sources {
        let document = Document::parse(source.as_bytes()).unwrap();
        let texts = Texts::of(Phase::Input, &document);
        let at = texts.pieces().iter().position(|piece| piece.text() == "a@b.org");
        let edit = Edit { piece: at.expect(source), range: 0..7, replacement: String::new() };
        assert!(!texts.can_be_spliced(&[edit]), "{source}");
    }
    let image = sources[1].replace("text/plain", "image/png");
    assert!(request_texts(&image).iter().all(|(_, text)| !text.contains('@')));
}

#[test]
fn tokens_by_number_go_with_the_text_that_they_spell() {
    let source = r#"{"prompt_logprobs":[{"1":{"decoded_token":"x y"}}],"prompt_token_ids":[1],"choices":[{"message":{"content":"a@b.org"},"token_ids":[3,4],"prompt_token_ids":null},{"message":{"content":"c"},"token_ids":[5]}]}"#;
    let document = Document::parse(source.as_bytes()).unwrap();
    let texts = Texts::of(Phase::Output, &document);
    let found: Vec<&str> = texts.pieces().iter().map(Piece::text).collect();
    assert_eq!(found, ["a@b.org", "c"]);
    let edits = [Edit { piece: 0, range: 0..7, replacement: "x".to_owned() }];
    let left = String::from_utf8(texts.splice(&document, &edits)).unwrap();
    let expected = r#"{"prompt_logprobs":[],"prompt_token_ids":[],"choices":[{"message":{"content":"x"},"token_ids":[],"prompt_token_ids":null},{"message":{"content":"c"},"token_ids":[5]}]}"#;
    assert_eq!(left, expected);
}
