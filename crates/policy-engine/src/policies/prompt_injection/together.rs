//! Whether what a row needs stands together at some place, as far as two or three words of it tell.

use std::cell::RefCell;
use std::ops::Range;

use super::parts::{Scope, Spot, ends_sentence};
use super::plan::{MAX_SIDES, Plan, SLACK};

/// Which clauses the literals are of.
#[derive(Debug)]
pub(super) struct Sides {
    /// For each literal, where its sides begin in `of_literals`.
    begin: Vec<u32>,
    of_literals: Vec<Side>,
    clauses: usize,
}

/// A side of a clause, and what is to be known of the clause.
#[derive(Debug, Clone, Copy)]
struct Side {
    clause: u16,
    /// Place among those of the clause.
    at: u8,
    count: u8,
    /// Another one has to come behind it.
    is_followed: bool,
    /// Letters between two literals of a match, at most.
    reach: u16,
    scope: Scope,
}

/// A literal in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) literal: u16,
    pub(super) begin: usize,
    pub(super) end: usize,
    /// Letters before its begin, or less, and before its end, or more: signs in it may be letters.
    pub(super) letters: (u32, u32),
}

/// Walks over the literals of one text.
pub(super) struct Together<'a> {
    sides: &'a Sides,
    text: &'a [u8],
    spare: Spare,
    pub(super) spots: Vec<Spot>,
    /// Up to here sentence ends were looked for; the last of them.
    looked: usize,
    ended: Option<usize>,
}

/// Letters are counted on from text to text, so that what was found in the last one is far away in the next.
#[derive(Debug, Default)]
struct Spare {
    /// For each clause, where its sides were found at last.
    last: Vec<[Last; MAX_SIDES]>,
    letters: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Last {
    letters: u32,
    end: u32,
}

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::default();
}

/// Letters; no row reaches so far.
const FAR: u32 = 1 << 17;

// === impl Sides ===

impl Sides {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut of_literals: Vec<(u16, Side)> = Vec::new();
        for (clause, number) in plan.clauses.iter().zip(0..) {
            let sides = &clause.sides;
            for (side, at) in sides.iter().take(MAX_SIDES).zip(0..) {
                let side_of_clause = Side {
                    clause: number,
                    at,
                    is_followed: !clause.last.contains(&u16::from(at)),
                    count: u8::try_from(sides.len().min(MAX_SIDES)).unwrap_or_default(),
                    reach: u16::try_from(clause.reach + clause.reach / SLACK).unwrap_or(u16::MAX),
                    scope: if clause.in_sentence { Scope::Sentence } else { Scope::Text },
                };
                let literals = plan.sides.get(usize::from(*side)).map(Vec::as_slice).unwrap_or_default();
                of_literals.extend(literals.iter().map(|literal| (*literal, side_of_clause)));
            }
        }
        of_literals.sort_by_key(|(literal, _)| *literal);
        let begin = |literal: usize| of_literals.partition_point(|(of, _)| usize::from(*of) < literal);
        let begins =
            (0..=plan.literals.len()).map(|literal| u32::try_from(begin(literal)).unwrap_or_default());
        Self {
            begin: begins.collect(),
            of_literals: of_literals.iter().map(|(_, side)| *side).collect(),
            clauses: plan.clauses.len(),
        }
    }

    pub(super) fn has(&self, literal: usize) -> bool {
        !self.of_literal(literal).is_empty()
    }

    fn of_literal(&self, literal: usize) -> &[Side] {
        let bounds = self.begin.get(literal).zip(self.begin.get(literal + 1));
        bounds.and_then(|(from, to)| self.of_literals.get(*from as usize..*to as usize)).unwrap_or_default()
    }
}

// === impl Together ===

impl<'a> Together<'a> {
    pub(super) fn new(sides: &'a Sides, text: &'a [u8]) -> Self {
        let mut spare = SPARE.take();
        if spare.letters > u32::MAX / 2 {
            spare = Spare::default();
        }
        if spare.last.len() < sides.clauses {
            spare.last.resize(sides.clauses, [Last::default(); MAX_SIDES]);
        }
        spare.letters += FAR;
        Self { sides, text, spare, spots: Vec::new(), looked: 0, ended: None }
    }

    /// Notes where each side of a clause was seen, and makes a spot where the others are near.
    pub(super) fn add(&mut self, found: Found) {
        let origin = self.spare.letters;
        let (begin, end) = (origin.saturating_add(found.letters.0), origin.saturating_add(found.letters.1));
        let sides = self.sides;
        for side in sides.of_literal(usize::from(found.literal)) {
            let Some(seen) = self.spare.last.get_mut(usize::from(side.clause)) else { continue };
            if let Some(last) = seen.get_mut(usize::from(side.at)) {
                *last = Last { letters: end, end: u32::try_from(found.end).unwrap_or(u32::MAX) };
            }
            if side.is_followed {
                continue;
            }
            let mut from = found.begin;
            let mut are_near = true;
            for (last, at) in seen.iter().zip(0..side.count) {
                are_near &= at == side.at || begin.saturating_sub(last.letters) <= u32::from(side.reach);
                from = from.min(if at == side.at { from } else { last.end as usize });
            }
            if are_near && (side.scope == Scope::Text || !self.is_parted(from..found.begin)) {
                let reach = usize::from(side.reach);
                self.spots.push(Spot { at: found.begin, scope: side.scope, reach });
            }
        }
    }

    /// Whether a sentence ends between them. No byte is looked at twice, however often that is asked.
    fn is_parted(&mut self, between: Range<usize>) -> bool {
        if let Some(new) = self.text.get(self.looked..between.end) {
            let mut dots = memchr::memrchr_iter(b'.', new).map(|at| self.looked + at);
            let dot = dots.find(|at| ends_sentence(self.text, *at));
            let sign = memchr::memrchr3(b'!', b'?', b';', new).map(|at| self.looked + at);
            self.ended = dot.max(sign).or(self.ended);
            self.looked = between.end;
        }
        self.ended.is_some_and(|end| end >= between.start)
    }

    /// `letters`: how many the text had.
    pub(super) fn spots(mut self, letters: u32) -> Vec<Spot> {
        self.spare.letters = self.spare.letters.saturating_add(letters);
        SPARE.set(self.spare);
        self.spots.sort_unstable();
        self.spots
    }
}
