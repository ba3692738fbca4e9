//! How values stand in JSON: times as RFC 3339 UTC, values that have a text as that text.

/// RFC 3339 UTC; a time that has no such text (beyond the year 9999) is written as the epoch, so that it costs no more.
pub(crate) mod time {
    use ::time::format_description::well_known::Rfc3339;
    use ::time::{OffsetDateTime, UtcOffset};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = at.checked_to_offset(UtcOffset::UTC).and_then(|at| at.format(&Rfc3339).ok());
        serializer.serialize_str(&shown.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)
    }
}

/// By `Display` and `FromStr`.
pub(crate) mod shown {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
