//! Ids, digests, numbers, durations and times: the words every message is made of.

use std::str::FromStr;
use std::time::Duration;

use fleet_core::time::Timestamp;
use fleet_core::version::{Generation, Revision};

use crate::WireError;

/// Parses a text field into an id, a digest or a name; the error names the field and says what it must be.
pub fn parse<T>(field: &'static str, text: &str) -> Result<T, WireError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    if text.is_empty() {
        return Err(WireError::missing(field));
    }
    text.parse().map_err(|error: T::Err| WireError::new(field, error.to_string()))
}

/// As [`parse`], where empty means "none".
pub fn parse_optional<T>(field: &'static str, text: &str) -> Result<Option<T>, WireError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

/// A generation counts from 1.
pub fn generation(field: &'static str, number: u64) -> Result<Generation, WireError> {
    if is_ordinal(number) { Ok(Generation(number)) } else { Err(not_an_ordinal(field)) }
}

/// A revision counts from 1.
pub fn revision(field: &'static str, number: u64) -> Result<Revision, WireError> {
    if is_ordinal(number) { Ok(Revision(number)) } else { Err(not_an_ordinal(field)) }
}

/// A span of time is not negative, and its nanos are below one second. By hand: the conversion of `prost_types`
/// negates the least number of seconds, which overflows.
pub fn duration(field: &'static str, duration: prost_types::Duration) -> Result<Duration, WireError> {
    match (u64::try_from(duration.seconds), u32::try_from(duration.nanos)) {
        (Ok(seconds), Ok(nanos @ 0..=999_999_999)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(WireError::new(field, "is a duration that is not negative, with nanos below 10^9")),
    }
}

pub fn wire_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        // Below 10^9, so it fits.
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A time between the years 1 and 9999, cut to microseconds.
pub fn timestamp(field: &'static str, time: prost_types::Timestamp) -> Result<Timestamp, WireError> {
    const YEAR_1: i64 = -62_135_596_800;
    const YEAR_10000: i64 = 253_402_300_800;
    if (YEAR_1..YEAR_10000).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos) {
        Ok(Timestamp::from_micros(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000))
    } else {
        Err(WireError::new(field, "is a time between the years 1 and 9999"))
    }
}

pub fn wire_timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.micros.div_euclid(1_000_000),
        nanos: i32::try_from(time.micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

/// Postgres keeps these as bigint.
fn is_ordinal(number: u64) -> bool {
    number >= 1 && i64::try_from(number).is_ok()
}

fn not_an_ordinal(field: &'static str) -> WireError {
    WireError::new(field, "counts from 1 and is below 2^63")
}

#[cfg(test)]
mod tests {
    use fleet_core::ids::GatewayId;

    use super::*;

    #[test]
    fn times_and_durations_read_back() {
        for micros in [-1, 0, 1, 1_764_000_000_123_456] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(timestamp("at", wire_timestamp(time)), Ok(time));
        }
        for span in [Duration::ZERO, Duration::from_millis(1500)] {
            assert_eq!(duration("age", wire_duration(span)), Ok(span));
        }
    }

    #[test]
    fn bad_scalars_name_their_field() {
        for (seconds, nanos) in [(-1, 0), (i64::MIN, 0), (i64::MIN, i32::MIN), (1, -1), (1, 1_000_000_000)] {
            let bad = prost_types::Duration { seconds, nanos };
            assert_eq!(duration("age", bad).map_err(|error| error.field), Err("age"), "{bad:?}");
        }
        let far = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(timestamp("at", far).map_err(|error| error.field), Err("at"));
        for number in [0, u64::MAX] {
            assert_eq!(
                generation("offer.generation", number).map_err(|error| error.field),
                Err("offer.generation")
            );
        }
        assert_eq!(parse::<GatewayId>("id", ""), Err(WireError::missing("id")));
        assert_eq!(parse::<GatewayId>("id", "x"), Err(WireError::new("id", "a gateway id is a UUID")));
    }
}
