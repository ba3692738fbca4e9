//! Small texts as people type and read them: durations, times, short digests, cleaned strings.

use std::time::Duration;

use prost_types::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads `30s`, `10m`, `1h`, `2d`, `500ms` and sums such as `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORMS: &str = "write a number with ms, s, m, h or d, such as 30s or 1h30m";
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err(FORMS.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| FORMS.to_owned())?;
        let seconds = match unit {
            "ms" => {
                total = total.checked_add(Duration::from_millis(number)).ok_or("is too long")?;
                rest = tail;
                continue;
            }
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(FORMS.to_owned()),
        };
        let part = number.checked_mul(seconds).map(Duration::from_secs).ok_or("is too long")?;
        total = total.checked_add(part).ok_or("is too long")?;
        rest = tail;
    }
    Ok(total)
}

/// The shortest form that [`parse_duration`] reads back: `30s`, `10m`, `1h30m`, `500ms`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds % 86_400 / 3_600, "h"),
        (seconds % 3_600 / 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ];
    let text: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A wire time as RFC 3339 UTC; `None` when it is no time.
pub(crate) fn show_time(time: &Timestamp) -> Option<String> {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?.format(&Rfc3339).ok()
}

/// Reads RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "write an RFC 3339 time such as 2026-11-22T10:00:00Z".to_owned())?;
    let nanos = i32::try_from(time.nanosecond()).unwrap_or_default();
    Ok(Timestamp { seconds: time.unix_timestamp(), nanos })
}

/// `sha256:` and the first twelve hex digits, for tables.
pub(crate) fn short_digest(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// Text from elsewhere, safe on a terminal: control and direction-changing characters are escaped.
pub(crate) fn clean(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push('\n'),
            _ if character.is_control() || is_bidi(character) => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// [`clean`], on one line.
pub(crate) fn clean_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// Text over lines of at most 80 columns, each `indent` blanks in; a word that is longer stands alone.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut lines: Vec<String> = Vec::new();
    for word in clean_line(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 80 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{margin}{word}")),
        }
    }
    lines.join("\n")
}

/// One word for a shell, quoted where it has to be.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

const fn is_bidi(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back() {
        for text in ["0s", "30s", "10m", "1h30m", "500ms", "1d2h3m4s5ms"] {
            assert_eq!(parse_duration(text).map(show_duration).as_deref(), Ok(text));
        }
        assert_eq!(parse_duration("90m").map(show_duration).as_deref(), Ok("1h30m"));
        for text in
            ["", "5", "5 m", "-5s", "s", "1h30", "1y", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_utc() {
        let time = parse_time("2026-11-22T12:00:00.25+02:00").expect("a time");
        assert_eq!(show_time(&time).as_deref(), Some("2026-11-22T10:00:00.25Z"));
        assert!(parse_time("yesterday").is_err());
        assert_eq!(show_time(&Timestamp { seconds: i64::MAX, nanos: 0 }), None);
    }

    #[test]
    fn long_text_keeps_to_its_columns() {
        let text = wrapped(&"word ".repeat(40), 6);
        assert!(text.lines().all(|line| line.len() <= 80 && line.starts_with("      word")), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn a_word_for_a_shell_stays_one() {
        for (word, quoted) in [
            ("--listen", "--listen"),
            ("a=b:1", "a=b:1"),
            ("", "''"),
            ("*_KEY", "'*_KEY'"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }

    #[test]
    fn nothing_on_a_terminal_steers_it() {
        assert_eq!(clean("a\u{1b}[31mb\nc\r\u{202e}"), "a\\u{1b}[31mb\nc\\r\\u{202e}");
        assert_eq!(clean_line("a\nb"), "a b");
    }
}
