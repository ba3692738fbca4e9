//! A decision event as its line of JSON, written at one go: there is one for every request, and a general serializer
//! takes several times as long for it.

use serde::Serialize;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::event::{Decision, Ended, PolicyDecision};

/// Appends the line and its end, or nothing.
pub(super) fn append(lines: &mut Vec<u8>, decision: &Decision) {
    let start = lines.len();
    match write(lines, decision) {
        Ok(()) => lines.push(b'\n'),
        Err(_) => lines.truncate(start),
    }
}

fn write(to: &mut Vec<u8>, decision: &Decision) -> serde_json::Result<()> {
    raw(to, "{\"id\":\"");
    raw(to, decision.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    raw(to, "\",\"at\":\"");
    moment(to, decision.at);
    raw(to, "\",\"route\":");
    value(to, &decision.route)?;
    raw(to, ",\"model\":");
    value(to, &decision.model)?;
    raw(to, ",\"target\":");
    value(to, &decision.target)?;
    raw(to, ",\"attempts\":");
    value(to, &decision.attempts)?;
    raw(to, ",\"stream\":");
    value(to, &decision.stream)?;
    raw(to, ",\"verdict\":");
    value(to, &decision.verdict)?;
    raw(to, ",\"reason_codes\":");
    list(to, &decision.reason_codes, value)?;
    raw(to, ",\"redactions\":");
    value(to, &decision.redactions)?;
    raw(to, ",\"usage\":");
    value(to, &decision.usage)?;
    raw(to, ",\"config_version\":");
    value(to, &decision.config_version)?;
    raw(to, ",\"config_digest\":");
    value(to, &decision.config_digest)?;
    raw(to, ",\"generation\":");
    value(to, &decision.generation)?;
    raw(to, ",\"status\":");
    value(to, &decision.status)?;
    let latency = &decision.latency;
    for (name, span) in [
        (",\"latency_ms\":", Some(decision.latency_ms)),
        (",\"latency\":{\"policy_ms\":", Some(latency.policy_ms)),
        (",\"policy_in_ms\":", Some(latency.policy_in_ms)),
        (",\"policy_out_ms\":", Some(latency.policy_out_ms)),
        (",\"upstream_ms\":", latency.upstream_ms),
        (",\"first_byte_ms\":", latency.first_byte_ms),
        (",\"total_ms\":", Some(latency.total_ms)),
    ] {
        raw(to, name);
        value(to, &span)?;
    }
    raw(to, "},\"trace_id\":");
    match decision.trace_id {
        Some(id) => {
            let digits = (0..32).map(|at| digit((id.0 >> (124 - at * 4)) as u8 & 0xf));
            to.push(b'"');
            to.extend(digits);
            to.push(b'"');
        }
        None => raw(to, "null"),
    }
    raw(to, ",\"policies\":");
    list(to, &decision.policies, policy)?;
    raw(to, ",\"ended\":\"");
    raw(
        to,
        match decision.ended {
            Ended::ClientGone => "client_gone",
            Ended::Complete => "complete",
            Ended::UpstreamFailed => "upstream_failed",
            Ended::Blocked => "blocked",
        },
    );
    to.push(b'"');
    for (name, content) in [(",\"request\":", &decision.request), (",\"response\":", &decision.response)] {
        if content.is_some() {
            raw(to, name);
            value(to, content)?;
        }
    }
    to.push(b'}');
    Ok(())
}

fn policy(to: &mut Vec<u8>, policy: &PolicyDecision) -> serde_json::Result<()> {
    for (name, word) in [
        ("{\"kind\":\"", policy.kind),
        ("\",\"phase\":\"", policy.phase),
        ("\",\"mode\":\"", policy.mode),
        ("\",\"verdict\":\"", policy.verdict),
    ] {
        // Words of our own, in which nothing needs an escape.
        raw(to, name);
        raw(to, word);
    }
    raw(to, "\",\"reason_codes\":");
    list(to, &policy.reason_codes, value)?;
    raw(to, ",\"redactions\":");
    value(to, &policy.redactions)?;
    raw(to, ",\"took_us\":");
    value(to, &policy.took_us)?;
    to.push(b'}');
    Ok(())
}

fn list<T>(
    to: &mut Vec<u8>,
    items: &[T],
    write: impl Fn(&mut Vec<u8>, &T) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    to.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        write(to, item)?;
    }
    to.push(b']');
    Ok(())
}

fn value<T: Serialize>(to: &mut Vec<u8>, value: &T) -> serde_json::Result<()> {
    serde_json::to_writer(to, value)
}

fn raw(to: &mut Vec<u8>, text: &str) {
    to.extend_from_slice(text.as_bytes());
}

/// RFC 3339 in UTC, with as many digits behind the second as it takes.
fn moment(to: &mut Vec<u8>, at: OffsetDateTime) {
    let at = at.to_offset(UtcOffset::UTC);
    let number = |to: &mut Vec<u8>, value: u32, digits: u32| {
        to.extend((0..digits).rev().map(|place| digit((value / 10_u32.pow(place) % 10) as u8)));
    };
    number(to, at.year().unsigned_abs(), 4);
    to.push(b'-');
    number(to, u8::from(at.month()).into(), 2);
    to.push(b'-');
    number(to, at.day().into(), 2);
    to.push(b'T');
    number(to, at.hour().into(), 2);
    to.push(b':');
    number(to, at.minute().into(), 2);
    to.push(b':');
    number(to, at.second().into(), 2);
    if at.nanosecond() > 0 {
        to.push(b'.');
        number(to, at.nanosecond(), 9);
        while to.last() == Some(&b'0') {
            to.pop();
        }
    }
    to.push(b'Z');
}

fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + value - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::{Latency, Shared, TokenUsage, TraceId};

    #[test]
    fn a_line_is_what_the_serializer_would_write() {
        let policy = |reason_codes| PolicyDecision {
            kind: "pii-detector",
            phase: "input",
            mode: "enforce",
            verdict: "redact",
            reason_codes,
            redactions: 2,
            took_us: 41,
        };
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_764_115_200_020_340_000).unwrap();
        let full = Decision {
            id: Uuid::from_u128(0x0193_4f7c_0000_7000_8000_0000_0000_0abc),
            at,
            route: Some("/v1/chat/completions"),
            model: Some("a \"model\"\n\u{1}\u{2028}é".to_owned()),
            target: Some("primary".to_owned()),
            attempts: 3,
            stream: true,
            verdict: Some("redact"),
            reason_codes: vec!["pii.email", "pii.phone"],
            redactions: 2,
            usage: Some(TokenUsage { input_tokens: 7, output_tokens: 9 }),
            config_version: Some(Shared("1.2.3".into())),
            config_digest: Some(Shared("sha256:ab".into())),
            generation: Some(u64::MAX),
            status: 200,
            latency_ms: 1.5,
            latency: Latency {
                policy_ms: 0.041,
                upstream_ms: Some(1e-3),
                total_ms: 1e9,
                ..Latency::default()
            },
            trace_id: Some(TraceId(0x00f0_67aa_0ba9_02b7_0000_0000_0000_0001)),
            policies: vec![policy(vec!["pii.email", "pii.phone"]), policy(Vec::new())],
            ended: Ended::Complete,
            request: Some("{\"model\":\"\\\\\"}".to_owned()),
            response: Some(String::new()),
        };
        let mut cases = vec![full.clone(), Decision::default()];
        for ended in [Ended::ClientGone, Ended::UpstreamFailed, Ended::Blocked] {
            cases.push(Decision { ended, ..full.clone() });
        }
        for at in ["2026-01-02T03:04:05Z", "2026-12-31T23:59:59.999999999Z", "2026-06-05T04:03:02.5+02:00"] {
            let at = OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339).unwrap();
            cases.push(Decision { at: at.to_offset(UtcOffset::UTC), ..full.clone() });
        }
        for decision in cases {
            let mut line = b"before\n".to_vec();
            append(&mut line, &decision);
            let expected = format!("before\n{}\n", serde_json::to_string(&decision).unwrap());
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }
}
