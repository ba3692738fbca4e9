//! The line a finding points at, safe to print: no secret, no control character, not too long.

use super::collector::is_forbidden;
use super::report::Finding;
use super::{rules, secrets};

/// Longest excerpt, in characters.
const WIDTH: usize = 160;
/// A line longer than this is not written by a person; searching it for secrets again for each finding
/// would cost more than it shows. In bytes.
const LONGEST_LINE: usize = 4096;

/// One source line and the part of it to mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// From 1.
    pub line: u32,
    pub text: String,
    /// First marked character of `text`, from 0.
    pub start: usize,
    /// How many characters to mark, at least 1; may reach one past the end of `text`.
    pub length: usize,
}

/// The excerpt for `finding` in the source it was made from; `None` for findings about the whole file,
/// and where the line is far too long to show.
pub fn excerpt(source: &[u8], finding: &Finding) -> Option<Excerpt> {
    let number = usize::try_from(finding.location.line.checked_sub(1)?).ok()?;
    let text = std::str::from_utf8(source).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.split('\n').nth(number)?.trim_end_matches('\r');
    if line.len() > LONGEST_LINE {
        return None;
    }
    let column = usize::try_from(finding.location.column.max(1)).ok()? - 1;

    let mut masked: Vec<char> =
        line.chars().map(|c| if c.is_control() || is_forbidden(c) { '\u{fffd}' } else { c }).collect();
    for range in secrets::secret_ranges(line) {
        let from = line.get(..range.start)?.chars().count();
        let count = line.get(range)?.chars().count();
        masked.iter_mut().skip(from).take(count).for_each(|c| *c = '*');
    }
    if finding.code == rules::LITERAL_SECRET.code {
        masked.iter_mut().skip(column).filter(|c| **c != ' ').for_each(|c| *c = '*');
    }
    let skipped = if masked.len() > WIDTH && column > WIDTH / 2 { column - WIDTH / 2 } else { 0 };
    let start = column.min(masked.len()) - skipped.min(column.min(masked.len()));
    let text: String = masked.iter().skip(skipped).take(WIDTH).collect();
    let length = token_length(&masked, column).min(WIDTH.saturating_sub(start)).max(1);
    Some(Excerpt { line: finding.location.line, text, start, length })
}

/// From `start` to the end of a quoted text, or of a word.
fn token_length(line: &[char], start: usize) -> usize {
    let rest = line.get(start..).unwrap_or_default();
    match rest.first() {
        Some(quote @ ('"' | '\'')) => {
            rest.iter().skip(1).position(|c| c == quote).map_or(rest.len(), |end| end + 2)
        }
        Some(_) => {
            rest.iter().position(|c| matches!(c, ' ' | ':' | ',' | ']' | '}' | '#')).unwrap_or(rest.len())
        }
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpts(source: &str) -> Vec<Excerpt> {
        let report = crate::lint::lint(source.as_bytes());
        report.findings.iter().filter_map(|finding| excerpt(source.as_bytes(), finding)).collect()
    }

    #[test]
    fn no_excerpt_shows_a_secret() {
        for line in [
            "      secret_key: hunter2",
            "      secret_key_ref: hunter2",
            "      secret_key_ref: {env: sk-hunter2hunter2}",
            "      api_key: \"hunter2 and more hunter2\"",
            "      id: sk-proj-hunter2hunter2",
            "      bogus: {x: sk-proj-hunter2hunter2}",
        ] {
            let source = format!("pack: 1\nproviders:\n  targets:\n    -\n{line}\n");
            let all = excerpts(&source);
            assert!(!all.is_empty());
            for excerpt in all {
                assert!(!excerpt.text.contains("hunter2"), "{line}: {excerpt:?}");
            }
        }
    }

    #[test]
    fn the_marked_part_is_the_token() {
        let all = excerpts("polices: {}\n");
        let first = all.first().expect("a finding");
        assert_eq!((first.text.as_str(), first.start, first.length), ("polices: {}", 0, 7));
    }
}
