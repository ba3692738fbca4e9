//! Reads `policy.rate-limit`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::fields::{Field, Fields};
use super::{header_name, read_consumer_header, read_mode};
use crate::canonical::duration;
use crate::lint::collector::{Collector, echo};
use crate::lint::rules;
use crate::schema::settings::{Limit, LimitKey, RateLimit};

const MAX_LIMITS: usize = 16;
const MAX_REQUESTS: u64 = 1_000_000_000;
const MAX_TOKENS: u64 = 1_000_000_000_000;
const WINDOWS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
const HEADER: &str = "header:";

pub(super) fn read(field: &Field<'_>, findings: &mut Collector) -> Option<RateLimit> {
    let fields = Fields::of(field, &["mode", "consumer_header", "limits"], findings)?;
    let mode = read_mode(&fields, findings);
    let consumer_header = read_consumer_header(&fields, findings);
    let limits = fields.required("limits", findings).and_then(|field| read_limits(&field, findings));
    Some(RateLimit { mode: mode?, consumer_header: consumer_header?, limits: limits? })
}

fn read_limits(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<Limit>> {
    let items = field.items("a list of limits", MAX_LIMITS, findings)?;
    if items.is_empty() {
        let message = format!("`{}` needs at least one limit", field.path);
        return field.bad_value(message, "write {key: consumer, requests: 100, window: 1m}", findings);
    }
    let mut limits: Vec<Limit> = Vec::new();
    for (index, node) in items.iter().enumerate() {
        let field = field.item(index, node);
        if let Some(limit) = read_limit(&field, findings).filter(|new| is_new(new, &limits, &field, findings))
        {
            limits.push(limit);
        }
    }
    (limits.len() == items.len()).then_some(limits)
}

fn read_limit(field: &Field<'_>, findings: &mut Collector) -> Option<Limit> {
    let fields = Fields::of(field, &["key", "requests", "tokens", "window"], findings)?;
    let key = fields.required("key", findings).and_then(|field| read_key(&field, findings));
    let requests = fields.get("requests").map(|field| field.count(MAX_REQUESTS, findings));
    let tokens = fields.get("tokens").map(|field| field.count(MAX_TOKENS, findings));
    let window =
        fields.get("window").map_or(Some(DEFAULT_WINDOW), |field| field.duration_within(WINDOWS, findings));
    if requests.is_none() && tokens.is_none() {
        let message = format!("`{}` limits neither requests nor tokens", field.path);
        findings.add(rules::MISSING_KEY, &field.path, field.node.at, message, "add `requests:` or `tokens:`");
        return None;
    }
    let known = |count: Option<Option<u64>>| match count {
        Some(wrong @ None) => wrong.map(Some),
        Some(Some(count)) => Some(Some(count)),
        None => Some(None),
    };
    Some(Limit { key: key?, requests: known(requests)?, tokens: known(tokens)?, window: window? })
}

fn read_key(field: &Field<'_>, findings: &mut Collector) -> Option<LimitKey> {
    let text = field.text(findings)?;
    if let Some(name) = text.strip_prefix(HEADER) {
        return header_name(field, name, findings).map(LimitKey::Header);
    }
    match text.as_str() {
        "consumer" => Some(LimitKey::Consumer),
        "ip" => Some(LimitKey::Ip),
        "global" => Some(LimitKey::Global),
        _ => {
            let message = format!(
                "`{}` is {}; it must be consumer, ip, global or header:NAME",
                field.path,
                echo(&text)
            );
            let suggestion = super::suggest(&text, &["consumer", "ip", "global", "header:NAME"]);
            field.bad_value(message, &suggestion, findings)
        }
    }
}

/// Two limits on one thing in one window would be one counter with two opinions.
fn is_new(new: &Limit, limits: &[Limit], field: &Field<'_>, findings: &mut Collector) -> bool {
    let same = |limit: &&Limit| limit.key == new.key && limit.window == new.window;
    for (index, other) in limits.iter().enumerate().filter(|(_, limit)| same(limit)) {
        let both = |count: fn(&Limit) -> Option<u64>| count(other).is_some() && count(new).is_some();
        let what = match () {
            () if both(|limit| limit.requests) => "requests",
            () if both(|limit| limit.tokens) => "tokens",
            () => continue,
        };
        let window = duration(new.window);
        let message = format!("limit {index} counts the {what} of `{}` in {window} already", new.key);
        let _: Option<()> = field.bad_value(message, "remove one of the two", findings);
        return false;
    }
    true
}
