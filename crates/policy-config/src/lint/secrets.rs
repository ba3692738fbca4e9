//! What a secret looks like, so that none is accepted in a pack and none is repeated in a message.

/// Beginnings of keys that providers and clouds hand out, with the least length of the rest.
const KEY_PREFIXES: &[(&str, usize)] = &[
    ("sk-", 12),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("pk_live_", 8),
    ("sk_", 24),
    ("gsk_", 20),
    ("xai-", 20),
    ("hf_", 20),
    ("r8_", 20),
    ("pplx-", 20),
    ("AIza", 30),
    ("AKIA", 12),
    ("ASIA", 12),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 12),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("ya29.", 20),
    ("eyJ", 30),
    ("kt_", 24),
];

/// Names under which people write keys into configuration files.
const SECRET_NAMES: &[&str] = &[
    "secretkey",
    "secret",
    "apikey",
    "key",
    "token",
    "apitoken",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "bearer",
    "password",
    "passwd",
    "authorization",
    "secretvalue",
    "secretkeyvalue",
    "accesskey",
    "secretaccesskey",
    "privatekey",
    "openaiapikey",
    "credentials",
];

/// True when `value` holds something that is shaped like a key.
pub(crate) fn looks_like_secret(value: &str) -> bool {
    value.contains("PRIVATE KEY-----") || value.split(is_separator).any(is_secret_word)
}

/// True when a key of this name would hold a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    if name.len() > 64 {
        return false;
    }
    let folded: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_NAMES.contains(&folded.as_str())
}

/// The byte ranges of a line that must not be shown. `is_of_limit`: it is known that a `key` there says who shares a
/// limit, whatever its value.
pub(crate) fn secret_ranges(line: &str, is_of_limit: bool) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut word_start = 0;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        if is_separator(c) {
            if line.get(word_start..at).is_some_and(is_secret_word) {
                ranges.push(word_start..at);
            }
            word_start = at + c.len_utf8();
        }
    }
    ranges.extend(value_of_secret_name(line, is_of_limit));
    ranges
}

/// The value behind the first key of this line whose name says that it is a secret.
fn value_of_secret_name(line: &str, is_of_limit: bool) -> Option<std::ops::Range<usize>> {
    let (mut word, mut name) = (None, None);
    for (at, c) in line.char_indices() {
        match c {
            ':' => {
                let name = word.map_or(name.take(), |start| line.get(start..at)).unwrap_or_default();
                let rest = line.get(at + 1..)?;
                let value = rest.trim_start();
                let start = line.len() - value.len();
                let is_reference = name == "secret_key_ref" && value.starts_with(['{', '#']);
                let is_limit = name == "key" && (is_of_limit || is_limit_key(value));
                let is_known = is_reference || is_limit || value.is_empty();
                if (is_secret_name(name) || name == "secret_key_ref") && !is_known {
                    return Some(start..line.trim_end().len().max(start));
                }
                word = None;
            }
            ' ' | '\t' | ',' | '{' | '"' | '\'' => {
                name = word.take().map_or(name, |start| line.get(start..at));
            }
            _ => word = word.or(Some(at)),
        }
    }
    None
}

/// What `rate-limit` has behind a `key`: one of its words, or the name of a header.
fn is_limit_key(value: &str) -> bool {
    let word = value.split([' ', '\t', ',', '}', '#']).next().unwrap_or_default();
    let word = word.trim_matches(['"', '\'']);
    matches!(word, "consumer" | "ip" | "global") || word.starts_with("header:")
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\''
                | '`'
                | ','
                | ';'
                | '='
                | ':'
                | '/'
                | '@'
                | '{'
                | '}'
                | '['
                | ']'
                | '('
                | ')'
                | '<'
                | '>'
                | '?'
                | '&'
                | '#'
        )
}

fn is_secret_word(word: &str) -> bool {
    KEY_PREFIXES.iter().any(|(prefix, least)| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= *least
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'%'))
                && (rest.bytes().any(|b| b.is_ascii_digit()) || prefix.len() > 3 || *prefix == "sk-")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_seen_and_words_are_not() {
        for secret in [
            "sk-proj-abcdefghijkl",
            "Bearer sk-abcdefghijklmnop",
            "https://user:ghp_abcdefghijklmnopqrstuvwx1@host",
            "-----BEGIN RSA PRIVATE KEY-----",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(looks_like_secret(secret), "{secret}");
        }
        for text in [
            "OPENAI_API_KEY",
            "sk-[A-Za-z0-9]{20,}",
            "task-oriented",
            "gpt-5.4-mini-mini",
            "sk-",
            "a sentence about keys",
        ] {
            assert!(!looks_like_secret(text), "{text}");
        }
        assert!(
            is_secret_name("API-Key") && is_secret_name("secret_key") && !is_secret_name("secret_key_ref")
        );
    }

    #[test]
    fn a_line_is_masked_from_the_value_on() {
        let ranges = |line: &str| {
            secret_ranges(line, false).into_iter().map(|r| line[r].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ranges("      secret_key: hunter2  "), ["hunter2"]);
        assert_eq!(ranges("      secret_key_ref: {env: OPENAI_API_KEY}"), Vec::<String>::new());
        assert_eq!(ranges("secret_key_ref: hunter2"), ["hunter2"]);
        assert_eq!(ranges("secret_key_ref:"), Vec::<String>::new());
        assert_eq!(ranges("- {key: consumer, requests: 1, window: 1m}"), Vec::<String>::new());
        assert_eq!(ranges("- key: 'header:x-team' # whose"), Vec::<String>::new());
        assert_eq!(ranges("- {key: ip, api_key: hunter2}"), ["hunter2}"]);
        assert_eq!(ranges("- {key: consumers, requests: 1}"), ["consumers, requests: 1}"]);
        assert_eq!(ranges("- {key: iphunter2}"), ["iphunter2}"]);
        assert_eq!(ranges("note: \"sk-abcdefghijklmnop\""), ["sk-abcdefghijklmnop"]);
    }
}
