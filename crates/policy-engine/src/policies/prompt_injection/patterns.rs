//! The curated pattern set, as data: a file for each subject or group of languages. Adding one: a row there,
//! a case in `tests/corpus`, a new version.
//!
//! Phrases run over bare words: lower case, no accents (so `й` is `и`), no punctuation but `.` at the
//! end of a sentence, one blank between words; a blank in a pattern may be missing where letters were set
//! apart. What a text must hold for a row to match is read off the row (`planning`): words of five letters or
//! more, from their beginning on, tell most.

mod delimiters;
mod east_asian;
mod english;
mod germanic;
mod indirect;
mod middle_eastern;
mod roles;
mod romance;
mod slavic;
mod vocabulary;

use std::sync::LazyLock;

pub(super) use self::delimiters::DELIMITERS;

/// Named in `docs/reference/policies.md`; changes whenever a row changes.
pub const PATTERN_SET_VERSION: &str = "2026.11.5";

/// One row of the set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    /// Stable: family, language, what it says.
    #[cfg_attr(not(test), expect(dead_code, reason = "names the row in tests and in the reference"))]
    pub(super) id: &'static str,
    pub(super) source: &'static str,
}

const fn row(id: &'static str, source: &'static str) -> Pattern {
    Pattern { id, source }
}

const PHRASES: &[&[Pattern]] = &[
    english::OVERRIDE,
    english::EXTRACT,
    roles::PERSONA,
    indirect::INDIRECT,
    indirect::EXFILTRATE,
    indirect::TOOLS,
    germanic::ROWS,
    romance::ROWS,
    slavic::ROWS,
    middle_eastern::ROWS,
    east_asian::ROWS,
];

/// The rows that run over bare words.
pub(super) static WORDS: LazyLock<Vec<Pattern>> =
    LazyLock::new(|| PHRASES.iter().copied().flatten().copied().collect());
