//! The W3C trace context of one request: the client's is gone on with, and where there is none that counts, one begins.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::decisions::TraceId;

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Version, trace, parent and flags with their dashes.
const LENGTH: usize = 55;

/// Which trace a request is part of, and the gateway's own span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trace {
    id: u128,
    span: u64,
    flags: u8,
    /// The client's `tracestate` belongs to it.
    pub(super) is_continued: bool,
}

// === impl Trace ===

impl Trace {
    /// One `traceparent` that is well-formed is gone on with; several, or one that is not, count as none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let told = values.next().filter(|_| values.next().is_none());
        let span = not_zero(|| fastrand::u64(..));
        match told.and_then(|value| read(value.as_bytes())) {
            Some((id, flags)) => Self { id, span, flags, is_continued: true },
            // Nobody has asked for it to be recorded.
            None => Self { id: not_zero(|| fastrand::u128(..)), span, flags: 0, is_continued: false },
        }
    }

    pub(super) fn id(self) -> TraceId {
        TraceId(self.id)
    }

    /// What the provider is told: the same trace, the gateway's span as the parent.
    pub(super) fn header(self) -> Option<HeaderValue> {
        let mut text = [b'-'; LENGTH];
        for (at, byte) in text.iter_mut().enumerate() {
            *byte = match at {
                0 | 1 => b'0',
                3..=34 => digit((self.id >> ((34 - at) * 4)) as u8),
                36..=51 => digit((self.span >> ((51 - at) * 4)) as u8),
                53..=54 => digit(self.flags >> ((54 - at) * 4)),
                _ => b'-',
            };
        }
        HeaderValue::from_bytes(&text).ok()
    }
}

/// The trace and its flags. A version that is not known yet may have more behind a further dash.
fn read(value: &[u8]) -> Option<(u128, u8)> {
    let (known, more) = value.split_at_checked(LENGTH)?;
    let at = |from: usize, to: usize| known.get(from..to).and_then(number);
    let version = at(0, 2)? as u8;
    let is_whole = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => more.is_empty() || more.starts_with(b"-"),
    };
    let dashes = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
    let (id, parent, flags) = (at(3, 35)?, at(36, 52)?, at(53, 55)? as u8);
    // Of the flags of a later version only the first is known.
    let flags = if version == 0 { flags } else { flags & 1 };
    (is_whole && dashes && id > 0 && parent > 0).then_some((id, flags))
}

/// Lower-case digits alone, as the specification wants.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

fn digit(value: u8) -> u8 {
    match value & 0xf {
        low @ 0..=9 => b'0' + low,
        high => b'a' + high - 10,
    }
}

fn not_zero<T: Default + PartialEq>(mut draw: impl FnMut() -> T) -> T {
    loop {
        let drawn = draw();
        if drawn != T::default() {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn trace(values: &[&str]) -> Trace {
        let pairs = values.iter().map(|value| (TRACEPARENT, HeaderValue::from_str(value).unwrap()));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        Trace::of(&headers)
    }

    #[test]
    fn a_trace_is_gone_on_with_under_a_span_of_our_own() {
        for (told, flags) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), "01"),
            (format!("00-{ID}-00f067aa0ba902b7-00"), "00"),
            (format!("cc-{ID}-00f067aa0ba902b7-03-what-comes-later"), "01"),
        ] {
            let trace = trace(&[&told]);
            assert!(trace.is_continued, "{told}");
            let passed = trace.header().unwrap();
            let passed = passed.to_str().unwrap();
            assert!(passed.starts_with(&format!("00-{ID}-")) && passed.ends_with(flags), "{passed}");
            assert!(!passed.contains("00f067aa0ba902b7"), "{passed}");
            assert_eq!(read(passed.as_bytes()).unwrap().0, trace.id);
        }
    }

    #[test]
    fn what_is_not_well_formed_begins_a_trace_anew() {
        let good = format!("00-{ID}-00f067aa0ba902b7-01");
        for told in [
            &[][..],
            &[""],
            &[&good, &good],
            &[&good[..54]],
            &[&format!("{good}-more")],
            &[&good.to_uppercase()],
            &[&good.replacen("00-", "ff-", 1)],
            &[&good.replace(ID, &"0".repeat(32))],
            &[&good.replace("00f067aa0ba902b7", &"0".repeat(16))],
            &[&good.replace('-', "_")],
        ] {
            let trace = trace(told);
            assert!(!trace.is_continued, "{told:?}");
            assert!(read(trace.header().unwrap().as_bytes()).is_some_and(|(id, flags)| id > 0 && flags == 0));
        }
    }
}
