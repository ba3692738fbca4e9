//! Findings for people, as rustc shows them: the place, an excerpt with a caret, and what to do. Pure.
//!
//! A refusal that came from a gateway is drawn from the same data, so it reads like a local lint.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use policy_config::lint::excerpt::masked;
use policy_config::{Finding, Severity};

use crate::words::{clean_line, counted};

/// More is only scrolled past; `--json` has all.
const MOST_SHOWN: usize = 50;

/// The file that findings are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exhibit<'a> {
    pub(crate) name: &'a str,
    pub(crate) source: &'a [u8],
}

/// How a report is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) colour: bool,
}

/// The findings with their excerpts, a blank line between two of them.
pub(crate) fn report(exhibit: Exhibit<'_>, findings: &[Finding], style: Style) -> String {
    let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() }.term_width(80);
    let source = std::str::from_utf8(exhibit.source).unwrap_or_default();
    // what is printed ends up in the logs of others
    let source = &masked(source, findings);
    let name = clean_line(exhibit.name);
    let mut parts: Vec<String> =
        findings.iter().take(MOST_SHOWN).map(|finding| one(&renderer, &name, source, finding)).collect();
    if findings.len() > MOST_SHOWN {
        parts.push(format!("… and {} more; --json lists all", findings.len() - MOST_SHOWN));
    }
    parts.join("\n\n")
}

/// `2 errors, 1 warning`
pub(crate) fn summary(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    match (errors, warnings) {
        (_, 0) => counted(errors, "error"),
        (0, _) => counted(warnings, "warning"),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

/// `file:line:column` of the first error, or of the first finding.
pub(crate) fn first_place(name: &str, findings: &[Finding]) -> String {
    let first = findings.iter().find(|finding| finding.severity == Severity::Error).or(findings.first());
    match first {
        Some(finding) if finding.location.line > 0 => {
            format!("{name}:{}:{}", finding.location.line, finding.location.column)
        }
        _ => name.to_owned(),
    }
}

fn one(renderer: &Renderer, name: &str, source: &str, finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = clean_line(&finding.message);
    let title = level.primary_title(message).id(clean_line(&finding.code));
    let mut group = match excerpt(source, finding) {
        Some(excerpt) => title.element(
            Snippet::source(excerpt.text)
                .path(name.to_owned())
                .line_start(excerpt.first_line)
                .annotation(AnnotationKind::Primary.span(excerpt.span)),
        ),
        None => Group::with_title(title).element(Origin::path(name.to_owned())),
    };
    if !finding.suggestion.is_empty() {
        group = group.element(Level::HELP.message(clean_line(&finding.suggestion)));
    }
    renderer.render(&[group])
}

/// The line of a finding with the one above it.
struct Excerpt<'a> {
    text: Cow<'a, str>,
    first_line: usize,
    span: Range<usize>,
}

fn excerpt<'a>(source: &'a str, finding: &Finding) -> Option<Excerpt<'a>> {
    let number = usize::try_from(finding.location.line).ok()?.checked_sub(1)?;
    let first = number.saturating_sub(1);
    let mut start = 0;
    let mut window = None;
    for (index, line) in source.split_inclusive('\n').enumerate() {
        if index == first {
            window = Some(start);
        }
        if index == number {
            let begin = window?;
            let text = source.get(begin..start + line.len())?;
            let span = token(line, finding.location.column)?;
            let offset = start - begin;
            return Some(Excerpt {
                text: text.into(),
                first_line: first + 1,
                span: offset + span.start..offset + span.end,
            });
        }
        start += line.len();
    }
    // A finding may stand at the end of the file, after its last newline.
    let text = source.get(window?..).filter(|text| !text.is_empty())?;
    // The line that it stands on has nothing to underline, and one is only drawn where there is something.
    Some(Excerpt { text: format!("{text} ").into(), first_line: first + 1, span: text.len()..text.len() + 1 })
}

/// The bytes of the word at a column (from 1, in characters): what the caret underlines.
fn token(line: &str, column: u32) -> Option<Range<usize>> {
    let line = line.trim_end_matches(['\n', '\r']);
    let skipped = usize::try_from(column).ok()?.saturating_sub(1);
    let start = line.char_indices().nth(skipped).map_or(line.len(), |(offset, _)| offset);
    let rest = line.get(start..)?;
    let length = match rest.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'')) => rest.get(1..)?.find(quote).map_or(rest.len(), |end| end + 2),
        Some(first) => {
            let word = rest
                .char_indices()
                .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '*' | '@')))
                .map_or(rest.len(), |(offset, _)| offset);
            word.max(first.len_utf8())
        }
    };
    Some(start..start + length)
}

#[cfg(test)]
mod tests {
    use policy_config::location::Location;

    use super::*;

    fn finding(line: u32, column: u32) -> Finding {
        Finding {
            code: "E002".into(),
            severity: Severity::Error,
            path: "pack.enabeld".into(),
            location: Location { line, column },
            message: "unknown key `enabeld`".into(),
            suggestion: "did you mean `enabled`?".into(),
        }
    }

    #[test]
    fn no_excerpt_shows_a_secret() {
        for body in [
            "    - secret_key: hunter2 and hunter2 # mine\n      bogus: 1\n",
            "    - secret_key:\n        hunter2\n      bogus: 1\n",
            "    - secret_key: |\n        first line\n        hunter2\n      bogus: 1\n",
            "    - secret_key: \"hunter2\n        hunter2\"\n      bogus: 1\n",
            "    - id: sk-hunter2hunter2\n      bogus: 1\n",
            "    - bogus: {x: 'sk-hunter2hunter2'}\n",
            "    - {secret_key: hunter2, bogus: 1}\n",
        ] {
            let source = format!("pack: 1\nproviders:\n  targets:\n{body}");
            let (_, found) = policy_config::PolicyDocument::new(source.as_str()).parse();
            let exhibit = Exhibit { name: "pack.yaml", source: source.as_bytes() };
            let shown = report(exhibit, &found.findings, Style { colour: false });
            assert!(shown.contains("E012") && shown.contains("bogus"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    fn drawn(source: &str, line: u32, column: u32) -> String {
        let exhibit = Exhibit { name: "pack.yaml", source: source.as_bytes() };
        report(exhibit, &[finding(line, column)], Style { colour: false })
    }

    #[test]
    fn the_caret_underlines_the_word() {
        let text = drawn("pack:\n  name: x\n  enabeld: true\n", 3, 3);
        let expected = "\
error[E002]: unknown key `enabeld`
 --> pack.yaml:3:3
  |
3 |   enabeld: true
  |   ^^^^^^^
  |
  = help: did you mean `enabled`?";
        assert_eq!(text, expected);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(token("  ä: \"öö\" # x", 6), Some(6..12));
        assert_eq!(token("  ä: 1\r\n", 3), Some(2..4));
        assert_eq!(token("ab", 9), Some(2..2));
        assert_eq!(token("a: : b", 4), Some(3..4));
    }

    #[test]
    fn places_that_are_not_there_draw_no_excerpt() {
        for (source, line, column) in
            [("", 0, 0), ("", 1, 1), ("a\n", 9, 9), ("a\n", 2, 1), ("a", 1, 99), ("\u{feff}a: b\r\n", 1, 1)]
        {
            let text = drawn(source, line, column);
            assert!(text.contains("pack.yaml"), "{source:?} {line}:{column}: {text}");
            assert!(text.contains("did you mean"), "{text}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let many: Vec<_> = (1..=80).map(|line| finding(line, 1)).collect();
        let exhibit = Exhibit { name: "p", source: b"a\n" };
        let text = report(exhibit, &many, Style { colour: false });
        assert!(text.ends_with("… and 30 more; --json lists all"), "{text}");
        assert_eq!(summary(&many), "80 errors");
        assert_eq!(first_place("p", &many), "p:1:1");
    }
}
