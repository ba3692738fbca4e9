//! The ways in which a pattern may match, each with what it needs and how far its parts may be from each other.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::commonness::commonness;
use super::family::REACH;
use super::needs::{Form, Need, needs};

/// One way in which a row may match. `L`: what stands for a literal.
#[derive(Debug)]
pub(super) struct Clause<L = String> {
    pub(super) row: u16,
    pub(super) need: Need<L>,
    /// Bytes before and behind an anchor in which the rest of a match lies.
    pub(super) reach: usize,
    /// A match ends where a sentence does.
    pub(super) in_sentence: bool,
}

/// In a MiB; what is met more often tells nothing.
const EVERYWHERE: u32 = 1_000;
/// Characters; a longer run of a class is not counted on.
const LONG_WORD: usize = 12;
const LONG_LINE: usize = 160;

// === impl Clause ===

impl Clause {
    /// Those of one pattern.
    pub(super) fn of(row: u16, source: &str, form: Form) -> Option<Vec<Self>> {
        let hir = regex_syntax::parse(source).ok()?;
        let reach = longest(&hir, if form == Form::Words { LONG_WORD } else { LONG_LINE }).min(REACH);
        let in_sentence = form == Form::Words && !has_inner_dot(&hir, true);
        let ways = ways(telling(&needs(&hir, form)));
        Some(ways.into_iter().map(|need| Self { row, need, reach, in_sentence }).collect())
    }

    /// Literals of which every match holds one, those that ordinary text holds least.
    pub(super) fn anchors(&self) -> Option<Vec<&str>> {
        rarest(&self.need).map(|(_, literals)| literals)
    }
}

/// The literals, in lower case of ASCII, one of which is in every match of any pattern.
pub(super) fn anchors(source: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(source).ok()?;
    let need = needs(&hir, Form::Plain);
    let (_, literals) = rarest(&need)?;
    Some(literals.iter().map(|literal| literal.to_ascii_lowercase()).collect())
}

/// Without the literals that are everywhere, and what is rarest first: it is what fails first.
fn telling(need: &Need) -> Need {
    match need {
        Need::Literal(literal) if commonness(literal) > EVERYWHERE => Need::nothing(),
        Need::Literal(literal) => Need::Literal(literal.clone()),
        Need::All(needs) => {
            let mut needs: Vec<Need> =
                needs.iter().map(telling).filter(|need| *need != Need::nothing()).collect();
            needs.sort_by_key(|need| rarest(need).map_or(u32::MAX, |(common, _)| common));
            // the anchor is there whenever it is asked
            if needs.len() > 1 {
                needs.rotate_left(1);
            }
            if needs.len() == 1 { needs.remove(0) } else { Need::All(needs) }
        }
        Need::Any(needs) => {
            let needs: Vec<Need> = needs.iter().map(telling).collect();
            if needs.contains(&Need::nothing()) { Need::nothing() } else { Need::Any(needs) }
        }
    }
}

/// Each way in which a need may be met that has anchors of its own.
fn ways(need: Need) -> Vec<Need> {
    match need {
        Need::Any(needs) => {
            let (literals, others): (Vec<_>, Vec<_>) =
                needs.into_iter().partition(|need| matches!(need, Need::Literal(_)));
            let mut ways: Vec<Need> = others.into_iter().flat_map(ways).collect();
            if !literals.is_empty() {
                ways.push(Need::Any(literals));
            }
            ways
        }
        need => vec![need],
    }
}

/// Bytes that a match may take, when its words are not longer than most.
fn longest(hir: &Hir, run: usize) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(class) => class.maximum_len().unwrap_or_default(),
        HirKind::Capture(capture) => longest(&capture.sub, run),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.and_then(|most| usize::try_from(most).ok());
            longest(&repetition.sub, run).saturating_mul(most.unwrap_or(run))
        }
        HirKind::Concat(parts) => parts.iter().map(|part| longest(part, run)).sum(),
        HirKind::Alternation(branches) => {
            branches.iter().map(|branch| longest(branch, run)).max().unwrap_or_default()
        }
    }
}

/// Whether a match may go on behind the end of a sentence.
fn has_inner_dot(hir: &Hir, is_last: bool) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => {
            let inner = literal.0.strip_suffix(b".").filter(|_| is_last).unwrap_or(&literal.0);
            inner.contains(&b'.')
        }
        HirKind::Class(Class::Unicode(class)) => {
            !is_last && class.iter().any(|range| (range.start()..=range.end()).contains(&'.'))
        }
        HirKind::Class(Class::Bytes(_)) => true,
        HirKind::Capture(capture) => has_inner_dot(&capture.sub, is_last),
        HirKind::Repetition(repetition) => {
            has_inner_dot(&repetition.sub, is_last && repetition.max == Some(1))
        }
        HirKind::Concat(parts) => {
            parts.iter().enumerate().any(|(at, part)| has_inner_dot(part, is_last && at + 1 == parts.len()))
        }
        HirKind::Alternation(branches) => branches.iter().any(|branch| has_inner_dot(branch, is_last)),
    }
}

/// Literals of which every match holds one, those that ordinary text holds least, and how common they are.
fn rarest(need: &Need) -> Option<(u32, Vec<&str>)> {
    match need {
        Need::Literal(literal) => Some((commonness(literal), vec![literal])),
        Need::All(needs) => needs.iter().filter_map(rarest).min_by_key(|(common, _)| *common),
        Need::Any(needs) => needs.iter().map(rarest).try_fold((0, Vec::new()), |(sum, mut all), rarest| {
            let (common, literals) = rarest?;
            all.extend(literals);
            Some((sum + common, all))
        }),
    }
}
