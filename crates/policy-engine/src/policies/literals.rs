//! What a text must hold for a pattern to match in it: the literals that a scan may look for before any automaton runs.

use regex_syntax::hir::{Class, Hir, HirKind};

/// What is known of every match of a pattern.
#[derive(Debug, Default)]
pub(crate) struct Required {
    /// Of each of these sets, a match holds at least one string.
    pub(crate) sets: Vec<Vec<String>>,
}

/// A set of more strings says too little for what it costs to look for.
const MAX_SET: usize = 48;
/// Bytes; a shorter string is everywhere.
const MIN_LITERAL: usize = 3;
/// Bytes; enough to be rare.
const LONGEST: usize = 6;
const MAX_CLASS: usize = 4;

/// `piece` says of which characters a literal may be made: the longest run of them in each string is kept. A pattern
/// that does not parse requires nothing.
pub(crate) fn required(source: &str, piece: fn(char) -> bool) -> Required {
    let Ok(hir) = regex_syntax::parse(source) else { return Required::default() };
    let mut found = known(&hir, piece);
    found.flush();
    Required { sets: found.sets.into_iter().filter_map(|set| usable(&set, piece)).collect() }
}

/// What is known of one part of a pattern.
#[derive(Debug, Default)]
struct Known {
    /// All that the part matches, when that is little.
    exact: Option<Vec<String>>,
    sets: Vec<Vec<String>>,
}

// === impl Known ===

impl Known {
    fn exact(strings: Vec<String>) -> Self {
        Self { exact: Some(strings), sets: Vec::new() }
    }

    /// The exact strings as one more set.
    fn flush(&mut self) {
        self.sets.extend(self.exact.take());
    }
}

fn known(hir: &Hir, piece: fn(char) -> bool) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::exact(vec![String::new()]),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => Known::exact(vec![text.to_owned()]),
            Err(_) => Known::default(),
        },
        HirKind::Class(class) => Known { exact: few(class), sets: Vec::new() },
        HirKind::Capture(capture) => known(&capture.sub, piece),
        HirKind::Repetition(repetition) => {
            let mut sub = known(&repetition.sub, piece);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => sub,
                (0, Some(1)) => match sub.exact {
                    Some(mut strings) => {
                        strings.push(String::new());
                        Known::exact(strings)
                    }
                    None => Known::default(),
                },
                (0, _) => Known::default(),
                _ => {
                    sub.flush();
                    sub
                }
            }
        }
        HirKind::Concat(parts) => concat(parts, piece),
        HirKind::Alternation(branches) => alternation(branches, piece),
    }
}

fn concat(parts: &[Hir], piece: fn(char) -> bool) -> Known {
    let mut sets = Vec::new();
    let mut begun: Option<Vec<String>> = Some(vec![String::new()]);
    let mut whole = true;
    for part in parts {
        let part = known(part, piece);
        sets.extend(part.sets);
        begun = match (begun.take(), part.exact) {
            (Some(heads), Some(tails)) if heads.len() * tails.len() <= MAX_SET => Some(
                heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect(),
            ),
            (heads, tails) => {
                whole = false;
                sets.extend(heads);
                tails
            }
        };
    }
    if whole {
        return Known { exact: begun, sets };
    }
    sets.extend(begun);
    Known { exact: None, sets }
}

fn alternation(branches: &[Hir], piece: fn(char) -> bool) -> Known {
    let branches: Vec<Known> = branches.iter().map(|branch| known(branch, piece)).collect();
    let exact: Option<Vec<&Vec<String>>> = branches.iter().map(|branch| branch.exact.as_ref()).collect();
    if let Some(exact) =
        exact.filter(|exact| exact.iter().map(|strings| strings.len()).sum::<usize>() <= MAX_SET)
    {
        return Known::exact(exact.into_iter().flatten().cloned().collect());
    }
    let mut union = Vec::new();
    for mut branch in branches {
        branch.flush();
        let sets = branch.sets.iter().filter_map(|set| usable(set, piece));
        let Some(set) = sets.min_by_key(|set| set.iter().map(|literal| commonness(literal)).sum::<u32>())
        else {
            return Known::default();
        };
        union.extend(set);
    }
    Known { exact: None, sets: vec![union] }
}

fn few(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class.iter().map(|range| range.len()).sum();
    let characters = || class.iter().flat_map(|range| range.start()..=range.end());
    (count <= MAX_CLASS).then(|| characters().map(String::from).collect())
}

/// The rarest piece of each string, in lower case (of ASCII), each once and none that holds another; `None` if one has
/// no piece that is worth looking for.
fn usable(set: &[String], piece: fn(char) -> bool) -> Option<Vec<String>> {
    let best = |text: &String| {
        let pieces = text.split(|c| !piece(c)).filter(|piece| piece.len() >= MIN_LITERAL);
        pieces.map(str::to_ascii_lowercase).min_by_key(|piece| commonness(piece))
    };
    let mut strings: Vec<String> = set.iter().map(best).collect::<Option<_>>()?;
    // what begins alike is looked for once
    strings.iter_mut().filter(|string| string.is_ascii()).for_each(|string| string.truncate(LONGEST));
    strings.sort_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
    let mut kept: Vec<String> = Vec::new();
    for string in strings {
        if !kept.iter().any(|shorter| string.contains(shorter.as_str())) {
            kept.push(string);
        }
    }
    Some(kept)
}

/// How often a literal is met in ordinary text; only the order of these matters.
pub(crate) fn commonness(literal: &str) -> u32 {
    match literal.len() {
        _ if EVERYWHERE.contains(&literal) => 5_000,
        _ if COMMON.contains(&literal) => 400,
        _ if !literal.is_ascii() => 1,
        0..=3 => 300,
        4 => 60,
        5 => 15,
        6 => 5,
        _ => 2,
    }
}

/// Found in nearly every sentence.
const EVERYWHERE: &[&str] = &[
    "your", "you", "that", "this", "with", "from", "have", "what", "which", "all", "are", "act", "out",
    "the", "and", "for", "not", "was", "were", "new", "now", "will", "can", "one", "any", "end", "set",
    "age", "ing", "ion", "here", "over", "may", "did", "get", "let", "been", "they", "there", "these",
    "those", "word", "know", "about",
];

/// Found in many English texts, alone or within other words.
const COMMON: &[&str] = &[
    "your",
    "you",
    "that",
    "this",
    "with",
    "from",
    "have",
    "what",
    "which",
    "above",
    "before",
    "there",
    "they",
    "write",
    "text",
    "give",
    "tell",
    "show",
    "make",
    "print",
    "list",
    "send",
    "share",
    "word",
    "words",
    "over",
    "user",
    "first",
    "rule",
    "rules",
    "system",
    "message",
    "all",
    "are",
    "act",
    "out",
    "the",
    "and",
    "for",
    "not",
    "was",
    "were",
    "new",
    "now",
    "will",
    "can",
    "one",
    "post",
    "says",
    "said",
    "answer",
    "copy",
    "repeat",
    "return",
    "when",
    "any",
    "end",
    "start",
    "set",
    "age",
    "ing",
    "ion",
    "data",
    "key",
    "keys",
    "server",
    "play",
    "https",
    "http",
    "here",
    "real",
    "true",
    "below",
    "these",
    "those",
    "following",
    "turn",
    "given",
    "break",
    "never",
    "follow",
    "longer",
    "written",
    "been",
    "told",
    "mode",
    "going",
    "language",
    "content",
    "know",
    "about",
    "address",
    "instead",
    "must",
    "reply",
    "like",
    "pre",
    "base",
    "past",
    "enter",
    "model",
    "agent",
    "step",
    "call",
    "anything",
    "everything",
    "helpful",
    "limited",
    "subject",
    "required",
    "great",
    "please",
    "should",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_match_must_hold_is_found_anywhere_in_a_pattern() {
        for (source, sets) in [
            ("ignore (?:all )?rules?", vec![vec!["ignore"]]),
            (
                "(?:ignore|ignoring) (?:[a-z]+ ){0,3}(?:rules|law)",
                vec![vec!["ignore", "ignori"], vec!["law", "rules"]],
            ),
            ("(?:abc|x[0-9]+) def[0-9]", vec![vec!["def"]]),
            ("(?:abc[0-9]|xyz)+", vec![vec!["abc", "xyz"]]),
            ("a[0-9]*", vec![]),
            ("(?i)stop", vec![vec!["stop", "ſtop"]]),
            (r"^\s*system[ *]*:", vec![vec!["system"]]),
        ] {
            let found = required(source, char::is_alphanumeric);
            assert_eq!(found.sets, sets, "{source}");
        }
    }
}
