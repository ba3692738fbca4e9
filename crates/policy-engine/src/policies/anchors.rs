//! One scan for the literals of many patterns: where none lies, none of the patterns can match.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind, Span, packed};

/// For each of a list of patterns, a set of literals one of which is in every match.
#[derive(Debug)]
pub(crate) struct Anchors {
    literals: Vec<Anchor>,
    search: Search,
    /// Patterns of which nothing is known.
    always: Vec<usize>,
}

#[derive(Debug, Default)]
struct Anchor {
    /// The patterns that it speaks for, with those of the literals it begins with.
    patterns: Vec<usize>,
}

/// The vectorised one is not for every machine, nor for many literals.
#[derive(Debug)]
enum Search {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// Where an anchor lies in a text.
#[derive(Debug)]
pub(crate) struct Hit<'a> {
    pub(crate) range: Range<usize>,
    literal: usize,
    patterns: &'a [usize],
}

/// The vectorised search gets slow, and then refuses, with more.
const MAX_PACKED: usize = 128;

// === impl Anchors ===

impl Anchors {
    /// `patterns`: what is known of each, the literals one of which is in every match.
    pub(crate) fn new(patterns: &[Option<Vec<String>>]) -> Option<Self> {
        let mut owners: BTreeMap<&str, Anchor> = BTreeMap::new();
        let mut always = Vec::new();
        for (at, literals) in patterns.iter().enumerate() {
            match literals {
                Some(literals) => {
                    literals.iter().for_each(|literal| owners.entry(literal).or_default().patterns.push(at));
                }
                None => always.push(at),
            }
        }
        Self::over(owners, always)
    }

    fn over(mut owners: BTreeMap<&str, Anchor>, always: Vec<usize>) -> Option<Self> {
        // the longest is reported where several begin, so it speaks for those it begins with
        let names: Vec<&str> = owners.keys().copied().collect();
        for longer in &names {
            for shorter in
                names.iter().filter(|shorter| shorter.len() < longer.len() && longer.starts_with(**shorter))
            {
                let Some(inner) = owners.get(shorter) else { continue };
                let patterns = inner.patterns.clone();
                let Some(outer) = owners.get_mut(longer) else { continue };
                outer.patterns.extend(patterns);
            }
        }
        let mut literals: Vec<(&str, Anchor)> = owners.into_iter().collect();
        literals.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        let names = || literals.iter().map(|(name, _)| name);
        let packed = (1..=MAX_PACKED).contains(&literals.len()).then(|| {
            let mut builder = packed::Config::new().builder();
            builder.extend(names());
            builder.build()
        });
        let search = match packed.flatten() {
            Some(packed) => Search::Packed(packed),
            None => Search::Automaton(
                AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(names()).ok()?,
            ),
        };
        let literals = literals.into_iter().map(|(_, anchor)| anchor).collect();
        Some(Self { literals, search, always })
    }

    /// The first anchor that begins at or behind `from`.
    pub(crate) fn next(&self, text: &str, from: usize) -> Option<Hit<'_>> {
        let span = Span { start: from.min(text.len()), end: text.len() };
        let found = match &self.search {
            Search::Packed(packed) => packed.find_in(text, span)?,
            Search::Automaton(automaton) => automaton.find(Input::new(text).span(span))?,
        };
        let literal = found.pattern().as_usize();
        let anchor = self.literals.get(literal)?;
        let range = found.start()..found.end();
        Some(Hit { range, literal, patterns: &anchor.patterns })
    }

    pub(crate) fn hits<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Hit<'a>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let hit = self.next(text, from)?;
            // one may begin inside of another
            from = hit.range.start + text.get(hit.range.start..)?.chars().next().map_or(1, char::len_utf8);
            Some(hit)
        })
    }

    /// The patterns that may match in a text, in order.
    pub(crate) fn candidates(&self, text: &str) -> Vec<usize> {
        let mut found = self.always.clone();
        let mut unseen = vec![true; self.literals.len()];
        for hit in self.hits(text) {
            if let Some(unseen) = unseen.get_mut(hit.literal).filter(|unseen| **unseen) {
                *unseen = false;
                found.extend(hit.patterns);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
