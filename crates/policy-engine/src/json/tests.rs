//! The strict reader against hostile documents, and its spans against serde_json.

use proptest::prelude::*;

use super::*;

fn error(source: &str) -> JsonError {
    Document::parse(source.as_bytes()).expect_err(source)
}

#[test]
fn what_two_readers_may_read_differently_is_refused() {
    for source in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"x":{"k":[{"a":1,"b":0,"a":1}]}}]"#] {
        assert!(matches!(error(source), JsonError::DuplicateKey { .. }), "{source}");
    }
    let many = format!("{{{}\"k7\":0}}", (0..40).map(|at| format!("\"k{at}\":{at},")).collect::<String>());
    assert!(matches!(error(&many), JsonError::DuplicateKey { key, .. } if key == "k7"));
    for source in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud83dx""#] {
        assert!(matches!(error(source), JsonError::LoneSurrogate { .. }), "{source}");
    }
    assert!(matches!(Document::parse(b"\"\xff\""), Err(JsonError::NotUtf8 { offset: 1 })));
    for source in [
        "",
        " ",
        "{",
        "{\"a\"",
        "[1,]",
        "{\"a\":1,}",
        "01",
        "1.",
        ".5",
        "+1",
        "NaN",
        "'a'",
        "\"a",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "{} {}",
        "tru",
        "\u{feff}{}",
        "1e",
        "-",
        "{a:1}",
        "// c\n{}",
    ] {
        assert!(matches!(error(source), JsonError::Syntax { .. }), "{source}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Document::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(matches!(error(&nested(MAX_DEPTH + 1)), JsonError::TooDeep { .. }));
    assert!(matches!(error(&"[".repeat(1_000_000)), JsonError::TooDeep { .. }));
    let wide = format!("[{}0]", "0,".repeat(MAX_VALUES));
    assert_eq!(error(&wide), JsonError::TooManyValues);
}

#[test]
fn numbers_keep_their_spelling() {
    let source = r#"[1e400, -0, 0.1E-5, 123456789012345678901234567890]"#;
    let document = Document::parse(source.as_bytes()).unwrap();
    let spelled: Vec<_> = document.root().items().iter().map(|item| document.raw(item.span)).collect();
    assert_eq!(spelled, ["1e400", "-0", "0.1E-5", "123456789012345678901234567890"]);
}

#[test]
fn a_range_of_text_is_found_behind_escapes() {
    let source = r#""a\u0040b \ud83d\ude00\n\"x\"é/\/z""#;
    let document = Document::parse(source.as_bytes()).unwrap();
    let string = document.string(document.root().span);
    assert_eq!(string.text(), "a@b 😀\n\"x\"é//z");
    for (wanted, spelled) in [
        ("a@b", r"a\u0040b"),
        ("@", r"\u0040"),
        ("😀", r"\ud83d\ude00"),
        ("\"x\"é", r#"\"x\"é"#),
        ("//", r"/\/"),
        ("z", "z"),
    ] {
        let start = string.text().find(wanted).unwrap();
        assert_eq!(document.raw(string.source_span(&(start..start + wanted.len()))), spelled);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes);
    }

    #[test]
    fn json_like_bytes_agree_with_serde_json(source in r#"([\[\]{},:" \\u0a1e.-]|true|null|"a"|"b":|\\ud83d|\\ude00){0,24}"#) {
        let ours = Document::parse(source.as_bytes());
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&source);
        if ours.is_ok() {
            prop_assert!(theirs.is_ok(), "{source}");
        }
    }

    #[test]
    fn strings_decode_as_serde_json_decodes_them(text in any::<String>()) {
        for source in [serde_json::to_string(&text).unwrap(), format!("\"{}\"", encode(&text))] {
            let document = Document::parse(source.as_bytes()).unwrap();
            let string = document.string(document.root().span);
            prop_assert_eq!(string.text(), &text);
        }
    }
}
