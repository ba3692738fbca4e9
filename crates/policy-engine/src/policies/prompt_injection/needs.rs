//! What a text must hold for a pattern to match in it, as a formula over short literals: "`ignor` or `forget`, and
//! `rules` or `instructio`, and ` your `". It is read off the pattern, so that a row says everything once.

use std::collections::BTreeMap;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::commonness::commonness;

/// A condition that holds of every match of a pattern. `L`: the literal, or what stands for it. A blank at its edge is
/// the edge of a word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need<L = String> {
    Literal(L),
    /// All of these; none: nothing is known.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
}

/// How a text of the kind that a pattern is for is cut in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Bare words: a literal is a part of one, and where one begins and ends is known.
    Words,
    /// Text with its punctuation: a literal is whatever stands between two gaps.
    Plain,
}

/// More strings than these are not spelled out.
const MAX_STRINGS: usize = 64;
/// Bytes; a literal up to this length is looked for at the edge of a word only.
const SHORT: usize = 4;
/// Bytes; enough to be rare.
const LONG: usize = 10;
const MAX_CLASS: usize = 4;

/// Of a text that a pattern matches.
pub(super) fn needs(hir: &Hir, form: Form) -> Need {
    needs_of(hir, form, false)
}

/// `begins`: what the pattern is for begins where a word does.
pub(super) fn needs_of(hir: &Hir, form: Form, begins: bool) -> Need {
    Known::of(hir, form, begins).need(form)
}

/// What is known of one part of a pattern: all that it matches, when that is little, and else what it needs.
enum Known {
    Strings(Vec<String>),
    Need(Need),
}

// === impl Need ===

impl<L> Need<L> {
    /// Nothing is known.
    pub(super) fn nothing() -> Self {
        Self::All(Vec::new())
    }

    /// Whether it is met by a text that holds the literals of which this is said.
    pub(super) fn is_met(&self, holds: &impl Fn(&L) -> bool) -> bool {
        match self {
            Self::Literal(literal) => holds(literal),
            Self::All(needs) => needs.iter().all(|need| need.is_met(holds)),
            Self::Any(needs) => needs.iter().any(|need| need.is_met(holds)),
        }
    }
}

impl Need {
    /// Literals of which every match holds one, those that ordinary text holds least, and how common they are.
    pub(super) fn rarest(&self) -> Option<(u32, Vec<&str>)> {
        match self {
            Self::Literal(literal) => Some((commonness(literal), vec![literal])),
            Self::All(needs) => needs.iter().filter_map(Self::rarest).min_by_key(|(common, _)| *common),
            Self::Any(needs) => {
                needs.iter().map(Self::rarest).try_fold((0, Vec::new()), |(sum, mut all), rarest| {
                    let (common, literals) = rarest?;
                    all.extend(literals);
                    Some((sum + common, all))
                })
            }
        }
    }

    fn all(needs: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for need in needs {
            match need {
                Self::All(inner) => all.extend(inner),
                need => all.push(need),
            }
        }
        all.sort();
        all.dedup();
        match all.pop() {
            Some(only) if all.is_empty() => only,
            last => {
                all.extend(last);
                Self::All(all)
            }
        }
    }

    fn any(needs: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Vec::new();
        for need in needs {
            match need {
                Self::Any(inner) => any.extend(inner),
                need if need == Self::nothing() => return Self::nothing(),
                need => any.push(need),
            }
        }
        any.sort();
        any.dedup();
        // whoever looks for one finds whatever begins with it
        let begun = any.clone();
        any.retain(|need| {
            let Self::Literal(long) = need else { return true };
            !begun.iter().any(|other| match other {
                Self::Literal(short) => short.len() < long.len() && long.starts_with(short.as_str()),
                _ => false,
            })
        });
        match any.pop() {
            Some(only) if any.is_empty() => only,
            last => {
                any.extend(last);
                Self::Any(any)
            }
        }
    }

    /// One of these strings.
    fn strings(strings: &[String], form: Form) -> Self {
        Self::one_of(strings.iter().map(|string| Self::pieces(string, form)).collect())
    }

    /// One of these lists of pieces, said once where they begin or end alike.
    fn one_of(lists: Vec<Vec<Self>>) -> Self {
        let mut behind: BTreeMap<Self, Vec<Vec<Self>>> = BTreeMap::new();
        for list in lists {
            let mut pieces = list.into_iter();
            let Some(first) = pieces.next() else { return Self::nothing() };
            behind.entry(first).or_default().push(pieces.collect());
        }
        let mut before: BTreeMap<Self, Vec<Self>> = BTreeMap::new();
        for (first, rests) in behind {
            before.entry(Self::one_of(rests)).or_default().push(first);
        }
        Self::any(before.into_iter().map(|(rest, firsts)| Self::all([Self::any(firsts), rest])))
    }

    fn pieces(text: &str, form: Form) -> Vec<Self> {
        let in_piece = |c: char| match form {
            Form::Words => c.is_alphabetic(),
            Form::Plain => !c.is_whitespace() && c != EDGE,
        };
        let mut pieces = Vec::new();
        let mut begins_word = false;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| !in_piece(c)).unwrap_or(rest.len());
            let Some((head, behind)) = rest.split_at_checked(end.max(first.len_utf8())) else { break };
            if end > 0 {
                let ends_word = is_edge(behind.chars().next());
                pieces.extend(match form {
                    Form::Words => Self::word(head, begins_word, ends_word),
                    Form::Plain => is_telling(head).then(|| Self::Literal(cut(head).to_owned())),
                });
            }
            begins_word = is_edge(head.chars().next_back());
            rest = behind;
        }
        pieces
    }

    /// A short one says something as a word of its own only.
    fn word(word: &str, begins: bool, ends: bool) -> Option<Self> {
        let is_short = word.is_ascii() && word.len() <= SHORT;
        let text = match (is_short, begins, ends) {
            // where a word may begin is not known of a part of one
            _ if word.is_ascii() && !begins => return None,
            (false, _, true) if word.len() <= LONG && word.is_ascii() => format!("{word} "),
            (false, ..) => cut(word).to_owned(),
            (true, true, true) => format!(" {word} "),
            (true, true, false) if word.len() > 1 => format!(" {word}"),
            _ => return None,
        };
        Some(Self::Literal(text))
    }
}

/// Two signs are, two letters are not.
fn is_telling(piece: &str) -> bool {
    piece.len() > 2 || piece.len() == 2 && !piece.contains(char::is_alphanumeric)
}

fn cut(literal: &str) -> &str {
    literal.get(..literal.floor_char_boundary(LONG)).unwrap_or(literal)
}

/// Where a word begins or ends, in the strings that are taken apart here.
const EDGE: char = '\u{1}';

fn is_edge(c: Option<char>) -> bool {
    matches!(c, Some(' ' | '.' | EDGE))
}

// === impl Known ===

impl Known {
    /// `begins`: it stands at the edge of a word, and so do its strings then.
    fn of(hir: &Hir, form: Form, begins: bool) -> Self {
        let edge = || if begins { EDGE.to_string() } else { String::new() };
        match hir.kind() {
            HirKind::Look(Look::WordAscii) => Self::Strings(vec![EDGE.to_string()]),
            HirKind::Empty | HirKind::Look(_) => Self::Strings(vec![edge()]),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => Self::Strings(vec![edge() + text]),
                Err(_) => Self::Need(Need::nothing()),
            },
            HirKind::Class(class) => match few(class) {
                Some(characters) => {
                    Self::Strings(characters.into_iter().map(|character| edge() + &character).collect())
                }
                None => Self::Need(Need::nothing()),
            },
            HirKind::Capture(capture) => Self::of(&capture.sub, form, begins),
            HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
                (0, Some(1)) => match Self::of(&repetition.sub, form, begins) {
                    Self::Strings(mut strings) => {
                        strings.push(edge());
                        Self::Strings(strings)
                    }
                    Self::Need(_) => Self::Need(Need::nothing()),
                },
                (0, _) => Self::Need(Need::nothing()),
                (1, Some(1)) => Self::of(&repetition.sub, form, begins),
                _ => Self::Need(Self::of(&repetition.sub, form, begins).need(form)),
            },
            HirKind::Concat(parts) => Self::concat(parts, form, begins),
            HirKind::Alternation(branches) => Self::alternation(branches, form, begins),
        }
    }

    fn concat(parts: &[Hir], form: Form, begins: bool) -> Self {
        let mut needs = Vec::new();
        let mut begun = vec![if begins { EDGE.to_string() } else { String::new() }];
        let mut is_whole = true;
        for part in parts {
            let at_edge = begun.iter().all(|head| is_edge(head.chars().next_back()));
            match Self::of(part, form, at_edge) {
                Self::Strings(tails) if begun.len() * tails.len() <= MAX_STRINGS => {
                    begun = begun
                        .iter()
                        .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
                        .collect();
                }
                Self::Strings(tails) => {
                    is_whole = false;
                    needs.push(Self::Strings(std::mem::replace(&mut begun, tails)).need(form));
                }
                Self::Need(need) => {
                    is_whole = false;
                    let next = if at_edge && ends_word(part) { EDGE.to_string() } else { String::new() };
                    needs.push(Self::Strings(std::mem::replace(&mut begun, vec![next])).need(form));
                    needs.push(need);
                }
            }
        }
        if is_whole {
            return Self::Strings(begun);
        }
        needs.push(Self::Strings(begun).need(form));
        Self::Need(Need::all(needs))
    }

    fn alternation(branches: &[Hir], form: Form, begins: bool) -> Self {
        let mut strings = Vec::new();
        let mut needs = Vec::new();
        for branch in branches {
            match Self::of(branch, form, begins) {
                Self::Strings(more) => strings.extend(more),
                Self::Need(need) => needs.push(need),
            }
        }
        if needs.is_empty() && strings.len() <= MAX_STRINGS {
            return Self::Strings(strings);
        }
        if !strings.is_empty() {
            needs.push(Need::strings(&strings, form));
        }
        Self::Need(Need::any(needs))
    }

    fn need(self, form: Form) -> Need {
        match self {
            Self::Strings(strings) => Need::strings(&strings, form),
            Self::Need(need) => need,
        }
    }
}

/// Whether whatever this matches is nothing or ends with a blank.
pub(super) fn ends_word(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.ends_with(b" "),
        HirKind::Repetition(repetition) => ends_word(&repetition.sub),
        HirKind::Capture(capture) => ends_word(&capture.sub),
        HirKind::Concat(parts) => parts.last().is_some_and(|last| {
            last.properties().minimum_len().is_some_and(|least| least > 0) && ends_word(last)
        }),
        HirKind::Alternation(branches) => branches.iter().all(ends_word),
        _ => false,
    }
}

fn few(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class.iter().map(|range| range.len()).sum();
    let characters = || class.iter().flat_map(|range| range.start()..=range.end());
    (count <= MAX_CLASS).then(|| characters().map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_match_must_hold_is_read_off_the_pattern() {
        for (source, formula) in [
            (
                r"(?-u:\b)(?:ignore|skip) (?:[a-z]+ ){0,3}(?:rules|laws)(?-u:\b)",
                "((_laws_|rules_)&(_skip_|ignore_))",
            ),
            ("(?:send me|tell us) now", "(_now&(_me_|_us_))"),
            ("a[0-9]*", "()"),
            ("(?:wxyz[0-9]|instructions)+", "()"),
            (r"(?-u:\b)(?:obeying[0-9]|instructions)+", "(instructio|obeying)"),
        ] {
            assert_eq!(
                shown(&needs(&regex_syntax::parse(source).unwrap(), Form::Words)),
                formula,
                "{source}"
            );
        }
    }

    fn shown(need: &Need) -> String {
        let join =
            |needs: &[Need], sign| format!("({})", needs.iter().map(shown).collect::<Vec<_>>().join(sign));
        match need {
            Need::Literal(literal) => literal.replace(' ', "_"),
            Need::All(needs) => join(needs, "&"),
            Need::Any(needs) => join(needs, "|"),
        }
    }
}
