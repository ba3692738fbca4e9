//! Makes the plan of the curated patterns (see `plan`), by a look at each pattern: the ways in which it may match, each
//! with what it needs and how far its parts may be from each other. That takes longer than a gateway may take to start,
//! so it is done here, once for each change of a pattern: `UPDATE_PLAN=1 cargo test --workspace --lib the_plan`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::commonness::commonness;
use super::needs::{Form, Need, needs};
use super::order::comes_before;
use super::patterns::{DELIMITERS, Pattern, WORDS};
use super::plan::{Clause, MAX_SIDES, PLAIN_REACH, Plan, WORDS_REACH};

/// One way in which a pattern may match.
#[derive(Debug)]
struct Way {
    need: Need,
    hir: Hir,
    /// Bytes before and behind an anchor in which the rest of a match lies.
    reach: usize,
    /// A match ends where a sentence does.
    in_sentence: bool,
}

const UPDATE: &str = "UPDATE_PLAN";
/// In a MiB; what is met more often tells nothing.
const EVERYWHERE: u32 = 1_000;
/// Characters; a longer run of a class is not counted on.
const LONG_WORD: usize = 12;
const LONG_LINE: usize = 640;
/// To look twice at a part of a text takes so many times as long as to look at one word.
const WORTH: f64 = 120.0;

// === impl Way ===

impl Way {
    /// Those of one pattern.
    fn of(source: &str, form: Form) -> Option<Vec<Self>> {
        let hir = regex_syntax::parse(source).ok()?;
        let reach = match form {
            Form::Words => longest(&hir, LONG_WORD).min(WORDS_REACH),
            Form::Plain => longest(&hir, LONG_LINE).min(PLAIN_REACH),
        };
        let in_sentence = form == Form::Words && !has_inner_dot(&hir, true);
        let ways = ways(telling(&needs(&hir, form)));
        Some(ways.into_iter().map(|need| Self { need, hir: hir.clone(), reach, in_sentence }).collect())
    }

    /// Of sides, those that no other one has to come after.
    fn last(&self, sides: &[Vec<&str>], form: Form) -> Vec<u16> {
        let is_last = |side: &Vec<&str>| {
            let mut others = sides.iter().filter(|other| *other != side);
            !others.any(|other| comes_before(&self.hir, form, false, side, other))
        };
        sides.iter().zip(0..).filter(|(side, _)| is_last(side)).map(|(_, at)| at).collect()
    }

    /// Of each of which a match holds one.
    fn sides(&self) -> Vec<Vec<&str>> {
        let parts = match &self.need {
            Need::All(parts) => parts.as_slice(),
            need => std::slice::from_ref(need),
        };
        let mut sides: Vec<(u32, Vec<&str>)> = parts
            .iter()
            .filter_map(Need::rarest)
            .map(|(common, mut literals)| {
                literals.sort_unstable();
                literals.dedup();
                (common, literals)
            })
            .collect();
        sides.sort_by_key(|(common, _)| *common);
        sides.dedup_by(|one, other| one.1 == other.1);
        // how many times they stand together in a MiB by chance
        let mut chance = 0.0;
        let mut taken = Vec::new();
        for (common, literals) in sides {
            if taken.len() == MAX_SIDES || !taken.is_empty() && chance * WORTH < f64::from(common) {
                break;
            }
            let around = 2.0 * self.reach as f64 / f64::from(1 << 20);
            chance = if taken.is_empty() { f64::from(common) } else { chance * f64::from(common) * around };
            taken.push(literals);
        }
        taken
    }
}

/// Without the literals that are everywhere, and what is rarest first: it is what fails first.
fn telling(need: &Need) -> Need {
    match need {
        Need::Literal(literal) if commonness(literal) > EVERYWHERE => Need::nothing(),
        Need::Literal(literal) => Need::Literal(literal.clone()),
        Need::All(needs) => {
            let mut needs: Vec<Need> =
                needs.iter().map(telling).filter(|need| *need != Need::nothing()).collect();
            needs.sort_by_key(|need| need.rarest().map_or(u32::MAX, |(common, _)| common));
            // the first is the anchor, mostly, and there whenever this is asked
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

/// As [`Need::rarest`], but for the words that are known only where they stand by themselves: without them, nearly every
/// match holds one.
fn long_words(need: &Need) -> (u32, Vec<&str>) {
    match need {
        Need::Literal(literal) if literal.starts_with(' ') => (0, Vec::new()),
        Need::Literal(literal) => (commonness(literal), vec![literal]),
        Need::All(needs) => {
            let known = needs.iter().map(long_words).filter(|(_, words)| !words.is_empty());
            known.min_by_key(|(common, _)| *common).unwrap_or_default()
        }
        Need::Any(needs) => {
            needs.iter().map(long_words).fold((0, Vec::new()), |(sum, mut all), (common, words)| {
                all.extend(words);
                (sum + common, all)
            })
        }
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

// === impl Plan ===

impl Plan {
    fn of(patterns: &[Pattern], form: Form) -> Self {
        let ways = |pattern: &Pattern| Way::of(pattern.source, form).expect("a pattern that parses");
        let ways: Vec<(usize, Way)> = patterns
            .iter()
            .enumerate()
            .flat_map(|(row, pattern)| ways(pattern).into_iter().map(move |way| (row, way)))
            .collect();
        let literals: BTreeSet<&String> = ways.iter().flat_map(|(_, way)| way.need.literals()).collect();
        let number: BTreeMap<&str, u16> = literals.iter().map(|literal| literal.as_str()).zip(0..).collect();
        let mut sets: BTreeMap<Vec<u16>, u16> = BTreeMap::new();
        let mut sides: BTreeMap<Vec<u16>, u16> = BTreeMap::new();
        let mut clauses = Vec::new();
        for (row, way) in &ways {
            let ordinary = way.sides();
            assert!(!ordinary.is_empty(), "{} needs nothing", patterns[*row].id);
            let last = way.last(&ordinary, form);
            let (_, glued) = long_words(&way.need);
            let need = way.need.grouped(&mut |set: &[&String]| {
                numbered(&mut sets, set.iter().map(|literal| number[literal.as_str()]).collect())
            });
            let literals =
                |words: Vec<&str>| words.into_iter().map(|word| number[word]).collect::<BTreeSet<u16>>();
            clauses.push(Clause {
                row: u16::try_from(*row).unwrap(),
                reach: way.reach,
                in_sentence: way.in_sentence,
                sides: ordinary.into_iter().map(|side| numbered(&mut sides, literals(side))).collect(),
                last,
                glued_anchors: literals(glued).into_iter().collect(),
                need,
            });
        }
        Self {
            form,
            literals: literals.into_iter().cloned().collect(),
            sets: by_number(sets),
            sides: by_number(sides),
            clauses,
        }
    }

    /// As [`Plan::read`] reads it.
    fn written(&self) -> String {
        let mut text = String::new();
        for literal in &self.literals {
            writeln!(text, "literal\t{literal}").unwrap();
        }
        for set in &self.sets {
            writeln!(text, "set\t{}", numbers(set)).unwrap();
        }
        for side in &self.sides {
            writeln!(text, "side\t{}", numbers(side)).unwrap();
        }
        for clause in &self.clauses {
            let Clause { row, reach, in_sentence, sides, last, glued_anchors, need } = clause;
            let sentence = if *in_sentence { "sentence" } else { "text" };
            writeln!(
                text,
                "clause\t{row}\t{reach}\t{sentence}\t{}\t{}\t{}\t{}",
                numbers(sides),
                numbers(last),
                numbers(glued_anchors),
                prefixed(need)
            )
            .unwrap();
        }
        text
    }
}

impl<L> Need<L> {
    fn literals(&self) -> Vec<&L> {
        match self {
            Self::Literal(literal) => vec![literal],
            Self::All(needs) | Self::Any(needs) => needs.iter().flat_map(Self::literals).collect(),
        }
    }

    /// The same over sets of literals one of which is needed; `name` says what stands for a set.
    fn grouped<M>(&self, name: &mut impl FnMut(&[&L]) -> M) -> Need<M> {
        match self {
            Self::Literal(literal) => Need::Literal(name(&[literal])),
            Self::All(needs) => Need::All(needs.iter().map(|need| need.grouped(name)).collect()),
            Self::Any(needs) => {
                let (literals, others): (Vec<&Self>, Vec<&Self>) =
                    needs.iter().partition(|need| matches!(need, Self::Literal(_)));
                let literals: Vec<&L> = literals.into_iter().flat_map(Self::literals).collect();
                let set = (!literals.is_empty()).then(|| Need::Literal(name(&literals)));
                let mut any: Vec<Need<M>> =
                    set.into_iter().chain(others.into_iter().map(|need| need.grouped(name))).collect();
                if any.len() == 1 { any.remove(0) } else { Need::Any(any) }
            }
        }
    }
}

/// The number of a group of literals, a new one if it has none.
fn numbered(groups: &mut BTreeMap<Vec<u16>, u16>, literals: BTreeSet<u16>) -> u16 {
    let next = u16::try_from(groups.len()).unwrap();
    *groups.entry(literals.into_iter().collect()).or_insert(next)
}

fn by_number(groups: BTreeMap<Vec<u16>, u16>) -> Vec<Vec<u16>> {
    let mut groups: Vec<(Vec<u16>, u16)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, number)| *number);
    groups.into_iter().map(|(literals, _)| literals).collect()
}

fn numbers(numbers: &[u16]) -> String {
    numbers.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}

/// `&2 7 |2 4 5` is set 7, and one of sets 4 and 5.
fn prefixed(need: &Need<u16>) -> String {
    let several = |sign, needs: &[Need<u16>]| {
        let parts: Vec<String> = needs.iter().map(prefixed).collect();
        format!("{sign}{} {}", needs.len(), parts.join(" "))
    };
    match need {
        Need::Literal(set) => set.to_string(),
        Need::All(needs) => several('&', needs),
        Need::Any(needs) => several('|', needs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_one_of_the_patterns() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for (patterns, form, file) in
            [(WORDS.as_slice(), Form::Words, "words.plan"), (DELIMITERS, Form::Plain, "delimiters.plan")]
        {
            let written = Plan::of(patterns, form).written();
            let path = root.join("src/policies/prompt_injection/plan").join(file);
            if std::env::var_os(UPDATE).is_some() {
                std::fs::write(&path, &written).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(kept == written, "{file} is of other patterns; {UPDATE}=1 writes it");
            assert_eq!(Plan::parse(&written, form).unwrap().written(), written);
        }
    }
}
