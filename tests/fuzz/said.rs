//! What a stream says in the end, read a second time: its texts, each up to where it ended.

use std::collections::BTreeMap;

use policy_engine::Endpoint;

use crate::json::Json;
use crate::sse::Event;

/// By what names a text: each of it up to where it ended.
pub(crate) type Texts = BTreeMap<String, Vec<String>>;

/// What an event does to the texts that are open.
struct Effect {
    pieces: Vec<(String, String)>,
    ends: Box<dyn Fn(&str) -> bool>,
}

/// The texts of a stream up to where it cannot be read; `None` where there is no opinion.
pub(crate) fn texts(endpoint: Endpoint, events: &[Event]) -> Option<Texts> {
    let mut ended = Texts::new();
    let mut open: BTreeMap<String, String> = BTreeMap::new();
    let mut end = |open: &mut BTreeMap<String, String>, ends: &dyn Fn(&str) -> bool| {
        let names: Vec<String> = open.keys().filter(|name| ends(name)).cloned().collect();
        for name in names {
            let text = open.remove(&name).unwrap_or_default();
            ended.entry(name).or_default().push(text);
        }
    };
    for event in events {
        match event {
            Event::Comment => {}
            Event::Unknown => return None,
            // what follows is not read
            Event::Unreadable => break,
            Event::Done => end(&mut open, &|_| true),
            Event::Data(json) => {
                let effect = match endpoint {
                    Endpoint::Responses => responses(json),
                    Endpoint::Messages => messages(json),
                    _ => chunk(json),
                };
                for (name, text) in effect.pieces.into_iter().filter(|(_, text)| !text.is_empty()) {
                    open.entry(name).or_default().push_str(&text);
                }
                end(&mut open, &effect.ends);
            }
        }
    }
    end(&mut open, &|_| true);
    Some(ended)
}

fn chunk(json: &Json) -> Effect {
    let (mut pieces, mut finished) = (Vec::new(), Vec::new());
    for (at, choice) in json.get("choices").map(Json::items).unwrap_or_default().iter().enumerate() {
        let index = number(choice, "index").unwrap_or(at as u64);
        let delta = choice.get("delta").and_then(|delta| delta.get("content")).and_then(Json::text);
        let text = choice.get("text").and_then(Json::text);
        pieces.extend(delta.map(|text| (format!("{index} delta"), text.to_owned())));
        pieces.extend(text.map(|text| (format!("{index} text"), text.to_owned())));
        if choice.get("finish_reason").and_then(Json::text).is_some_and(|reason| !reason.is_empty()) {
            finished.push(format!("{index} "));
        }
    }
    Effect { pieces, ends: Box::new(move |name| finished.iter().any(|index| name.starts_with(index))) }
}

fn responses(json: &Json) -> Effect {
    let kind = json.get("type").and_then(Json::text).unwrap_or_default();
    let place = |key: &str| number(json, key).map(|at| format!(" {key}={at} "));
    let places: Vec<String> =
        ["output_index", "content_index", "summary_index"].into_iter().filter_map(place).collect();
    let delta = json.get("delta").and_then(Json::text).filter(|_| kind == "response.output_text.delta");
    let item = format!("{:?}", json.get("item_id"));
    let pieces: Vec<_> = delta.map(|text| (places.concat() + &item, text.to_owned())).into_iter().collect();
    let all = matches!(kind, "response.completed" | "response.incomplete" | "response.failed" | "error");
    let some = kind.ends_with(".done") && json.get("delta").and_then(Json::text).is_none();
    let ends = move |name: &str| {
        let agrees = |place: &String| {
            let key = place.split_inclusive('=').next().unwrap_or_default();
            !name.contains(key) || name.contains(place.as_str())
        };
        all || (some && places.iter().all(agrees))
    };
    Effect { pieces, ends: Box::new(ends) }
}

fn messages(json: &Json) -> Effect {
    let kind = json.get("type").and_then(Json::text).unwrap_or_default();
    let index = number(json, "index").unwrap_or(0).to_string();
    let block = match kind {
        "content_block_start" => json.get("content_block"),
        "content_block_delta" => json.get("delta"),
        _ => None,
    };
    let text = block.and_then(|block| block.get("text")).and_then(Json::text);
    let pieces = text.map(|text| (index.clone(), text.to_owned())).into_iter().collect();
    let all = matches!(kind, "message_start" | "message_delta" | "message_stop" | "error");
    let one = kind == "content_block_stop";
    Effect { pieces, ends: Box::new(move |name| all || (one && name == index)) }
}

fn number(json: &Json, key: &str) -> Option<u64> {
    match json.get(key) {
        Some(Json::Other(number)) => number.parse().ok(),
        _ => None,
    }
}
