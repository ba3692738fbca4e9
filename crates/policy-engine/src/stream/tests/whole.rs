//! Whatever the endpoint, the texts, their order and the cuts: what is streamed is what the whole gives.

use std::collections::BTreeMap;

use super::*;

const ENDPOINTS: &[Endpoint] =
    &[Endpoint::ChatCompletions, Endpoint::Completions, Endpoint::Responses, Endpoint::Messages];

fn chain(format: MarkerFormat) -> Arc<Chain> {
    let pii = PiiDetector {
        mode: PolicyMode::Enforce,
        action: PiiAction::Redact,
        pci_mode: true,
        healthcare_mode: true,
        detect_patterns: [
            ("EMPLOYEE".to_owned(), "E[0-9]{6}".to_owned()),
            ("LINE".to_owned(), "NB:.*".to_owned()),
        ]
        .into(),
        marker_format: format,
        custom_markers: [("SSN".to_owned(), "\"<number>\\".to_owned())].into(),
    };
    Arc::new(compile::chain(&[PolicySettings::PiiDetector(pii)]).unwrap())
}

pub(super) fn chains() -> &'static [Arc<Chain>] {
    static CHAINS: std::sync::LazyLock<Vec<Arc<Chain>>> = std::sync::LazyLock::new(|| {
        [MarkerFormat::Label, MarkerFormat::Mask, MarkerFormat::Partial].map(chain).into()
    });
    &CHAINS
}

/// The event that goes on with the text of this number, or ends it.
fn event(endpoint: Endpoint, at: usize, part: Option<&str>) -> String {
    let data = match (endpoint, part) {
        (Endpoint::Completions, part) => serde_json::json!({"object": "text_completion", "choices": [
            {"index": at, "text": part.unwrap_or_default(), "finish_reason": part.is_none().then_some("stop")}]}),
        (Endpoint::Responses, Some(part)) => serde_json::json!({"type": "response.output_text.delta",
            "item_id": "m", "output_index": at, "content_index": 0, "delta": part}),
        (Endpoint::Responses, None) => serde_json::json!({"type": "response.output_text.done",
            "item_id": "m", "output_index": at, "content_index": 0}),
        (Endpoint::Messages, Some(part)) => serde_json::json!({"type": "content_block_delta", "index": at,
            "delta": {"type": "text_delta", "text": part}}),
        (Endpoint::Messages, None) => serde_json::json!({"type": "content_block_stop", "index": at}),
        (_, part) => {
            serde_json::json!({"choices": [{"index": at, "delta": {"content": part.unwrap_or_default()},
            "finish_reason": part.is_none().then_some("stop")}]})
        }
    };
    format!("data: {data}\n\n")
}

/// Number and text of what an event goes on with.
fn piece(event: &str) -> Option<(u64, String)> {
    let data: serde_json::Value = serde_json::from_str(event.lines().last()?.strip_prefix("data: ")?).ok()?;
    let choice = &data["choices"][0];
    let index = [&choice["index"], &data["output_index"], &data["index"]];
    let text = [&choice["delta"]["content"], &choice["text"], &data["delta"]["text"], &data["delta"]];
    let index = index.into_iter().find_map(serde_json::Value::as_u64)?;
    Some((index, text.into_iter().find_map(serde_json::Value::as_str)?.to_owned()))
}

pub(super) fn redacted(chain: &Chain, text: &str) -> String {
    let body = serde_json::json!([text]).to_string();
    let inspection = chain.inspect_output(Endpoint::ChatCompletions, body.as_bytes(), &Nowhere);
    let body = inspection.body.unwrap_or_else(|| body.into_bytes());
    serde_json::from_slice::<Vec<String>>(&body).unwrap().concat()
}

pub(super) fn text() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "jane@example.com",
        "4111 1111 1111 1111",
        "536-22-8726",
        "192.168.0.1",
        "2001:db8::1",
        "DE89370400440532013000",
        "+14155552671",
        "(415) 555-2671",
        "MRN: A1234567",
        "ssn ",
        "E123456",
        "NB: all ",
        "\u{1f600}",
        "\u{e9}",
        "\"",
        "\\",
        "\n",
        "{",
        "[",
        " plain words ",
        " ",
        "1",
        "a",
        "@",
        ".",
        "-",
    ]);
    prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn texts_that_flow_side_by_side_are_each_redacted_as_a_whole(
        texts in prop::collection::vec(text(), 1..4),
        steps in prop::collection::vec((0usize..4, 1usize..20), 1..40),
        bytes in 1usize..400,
        at in 0usize..12,
    ) {
        let (endpoint, chain) = (ENDPOINTS[at % 4], &chains()[at / 4]);
        let mut left: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut source = String::new();
        let mut steps = steps.iter().cycle();
        loop {
            let open: Vec<usize> = (0..left.len()).filter(|at| !left[*at].is_empty()).collect();
            let (false, Some((which, length))) = (open.is_empty(), steps.next()) else { break };
            let which = open[which % open.len()];
            let cut = left[which].ceil_char_boundary((*length).min(left[which].len()));
            let (part, rest) = left[which].split_at(cut);
            source += &event(endpoint, which, Some(part));
            left[which] = rest;
            if rest.is_empty() {
                source += &event(endpoint, which, None);
            }
        }
        let parts: Vec<&[u8]> = source.as_bytes().chunks(bytes).collect();
        let inspector = StreamInspector::new(endpoint, Arc::clone(chain), Arc::new(Nowhere));
        let (out, inspection) = run(inspector, &parts);
        prop_assert!(inspection.block.is_none(), "{}", out);
        let mut said: BTreeMap<u64, String> = BTreeMap::new();
        for (index, text) in out.split("\n\n").filter_map(piece) {
            said.entry(index).or_default().push_str(&text);
        }
        for (index, text) in texts.iter().enumerate() {
            let said = said.remove(&(index as u64)).unwrap_or_default();
            prop_assert_eq!(said, redacted(chain, text), "text {} of {:?}, {}", index, endpoint, source);
        }
    }
}
