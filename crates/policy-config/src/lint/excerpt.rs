//! The line a finding points at, safe to print: no secret, no control character, not too long.

use std::collections::BTreeMap;

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
    let is_of_limit = finding.path.starts_with("policy.rate-limit.limits[");
    for range in secrets::secret_ranges(line, is_of_limit) {
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

/// The source with every secret in it masked, one `*` for a character, so that places stay what they are: what is
/// shaped like a key, what stands behind the name of one, and what `findings` call a literal secret with the
/// lines it runs on over.
pub fn masked(source: &str, findings: &[Finding]) -> String {
    let mut literals: BTreeMap<u32, u32> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.code == rules::LITERAL_SECRET.code) {
        let column = literals.entry(finding.location.line).or_insert(finding.location.column);
        *column = finding.location.column.min(*column);
    }
    let mut shown = String::with_capacity(source.len());
    // lines indented by so much belong to a literal secret above
    let mut runs_on: Option<usize> = None;
    for (number, line) in (1..).zip(source.split_inclusive('\n')) {
        let indent = line.chars().take_while(|c| *c == ' ').count();
        runs_on = runs_on.filter(|least| indent >= *least || line.trim().is_empty());
        let literal =
            literals.get(&number).map(|column| usize::try_from(*column).unwrap_or(1).saturating_sub(1));
        let hidden_from = if runs_on.is_some() { Some(0) } else { literal };
        if let (None, Some(start)) = (runs_on, literal) {
            runs_on = Some(if start <= indent { indent } else { indent + 1 });
        }
        let mut ranges = secrets::secret_ranges(line.trim_end_matches(['\n', '\r']), false);
        ranges.sort_by_key(|range| range.start);
        let (mut ranges, mut hidden_to) = (ranges.into_iter().peekable(), 0);
        for (position, (offset, c)) in line.char_indices().enumerate() {
            while let Some(range) = ranges.next_if(|range| range.start <= offset) {
                hidden_to = range.end.max(hidden_to);
            }
            let is_literal = hidden_from.is_some_and(|from| position >= from && !c.is_whitespace());
            shown.push(if is_literal || offset < hidden_to { '*' } else { c });
        }
    }
    shown
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
    fn a_masked_source_keeps_its_places() {
        let source = "a: 1\r\n  key: {secret_key: h\u{e4} 2} # x\n  b: sk-hunter2hunter2, c\n  api_key:\n    p\n\n    q\n  c: d\n";
        let literal = |line, column| Finding {
            code: rules::LITERAL_SECRET.code.to_owned(),
            severity: crate::Severity::Error,
            path: String::new(),
            location: crate::location::Location { line, column },
            message: String::new(),
            suggestion: String::new(),
        };
        let expected = "a: 1\r\n  key: **********************\n  b: *****************, c\n  api_key:\n    *\n\n    *\n  c: d\n";
        assert_eq!(masked(source, &[literal(5, 5)]), expected);
        let text = "  x: \u{e4} b # c\n  y: z\n";
        assert_eq!(masked(text, &[literal(1, 6)]), "  x: * * * *\n  y: z\n");
    }

    #[test]
    fn who_shares_a_limit_is_no_secret() {
        let pack = |limit: &str| format!("pack: 1\npolicy:\n  rate-limit:\n    limits:\n      - {limit}\n");
        let shown = |limit: &str| {
            let all = excerpts(&pack(limit));
            all.into_iter()
                .map(|excerpt| excerpt.text)
                .filter(|text| text.contains("key"))
                .collect::<Vec<_>>()
        };
        for limit in ["{key: consumers, requests: 1}", "{key: consumer, request: 1}", "{key: ip, window: x}"]
        {
            let texts = shown(limit);
            assert!(!texts.is_empty() && texts.iter().all(|text| text.contains(limit)), "{limit}: {texts:?}");
        }
        for limit in ["{key: ip, api_key: hunter2}", "{key: sk-hunter2hunter2hunter2, requests: 1}"] {
            let texts = shown(limit);
            assert!(
                !texts.is_empty() && texts.iter().all(|text| !text.contains("hunter2")),
                "{limit}: {texts:?}"
            );
        }
    }

    #[test]
    fn the_marked_part_is_the_token() {
        let all = excerpts("polices: {}\n");
        let first = all.first().expect("a finding");
        assert_eq!((first.text.as_str(), first.start, first.length), ("polices: {}", 0, 7));
    }
}
