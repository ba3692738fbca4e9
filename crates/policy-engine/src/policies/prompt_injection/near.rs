//! What is near one place of a text: for each set of literals, whether one of them stands in a range around it.

use std::cell::RefCell;
use std::ops::Range;

use super::lexicon::Hit;

/// The sets that each literal belongs to.
#[derive(Debug, Default)]
pub(super) struct Sets {
    count: usize,
    /// For each literal, where its sets begin in `of_literals`.
    begin: Vec<u32>,
    of_literals: Vec<u16>,
}

/// Walks over the hits of one text.
pub(super) struct Near<'a> {
    sets: &'a Sets,
    hits: &'a [Hit],
    places: Vec<Places>,
    asked: Vec<Asked>,
    touched: Vec<u16>,
    /// For each set of each hit, the next place of that set.
    next: Vec<u32>,
    passed: usize,
}

/// What is known of one clause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Before this place it would say the same.
    pub(super) again: usize,
    /// Its last candidate.
    pub(super) found: Option<usize>,
}

/// Of one set: the last that was passed (one more, 0 is none) and the next.
#[derive(Debug, Clone, Copy)]
struct Places {
    last: u32,
    next: u32,
}

const NOWHERE: Places = Places { last: 0, next: u32::MAX };

thread_local! {
    /// All nowhere and unasked while nobody walks: to make these for each text would cost more than most texts do.
    static SPARE: RefCell<(Vec<Places>, Vec<Asked>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

// === impl Sets ===

impl Sets {
    /// `members`: the literals of each set, of so many literals.
    pub(super) fn new(members: &[Vec<u16>], literals: usize) -> Option<Self> {
        let mut sets_of = vec![Vec::new(); literals];
        for (set, members) in members.iter().enumerate() {
            for &literal in members {
                sets_of.get_mut(usize::from(literal))?.push(u16::try_from(set).ok()?);
            }
        }
        let mut begin = vec![0];
        let mut of_literals = Vec::new();
        for sets in &sets_of {
            of_literals.extend(sets);
            begin.push(u32::try_from(of_literals.len()).ok()?);
        }
        Some(Self { count: members.len(), begin, of_literals })
    }

    fn of(&self, hit: Hit) -> &[u16] {
        let at = usize::from(hit.literal);
        let bounds = self.begin.get(at).zip(self.begin.get(at + 1));
        bounds.and_then(|(from, to)| self.of_literals.get(*from as usize..*to as usize)).unwrap_or_default()
    }
}

// === impl Near ===

impl<'a> Near<'a> {
    pub(super) fn new(sets: &'a Sets, clauses: usize, hits: &'a [Hit]) -> Self {
        let (mut places, mut asked) = SPARE.with(RefCell::take);
        if places.len() < sets.count {
            places.resize(sets.count, NOWHERE);
        }
        if asked.len() < clauses {
            asked.resize(clauses, Asked::default());
        }
        let count = hits.iter().map(|hit| sets.of(*hit).len()).sum();
        let mut next = vec![u32::MAX; count];
        let mut behind = next.iter_mut().rev();
        for hit in hits.iter().rev() {
            for set in sets.of(*hit).iter().rev() {
                if let Some((places, next)) = places.get_mut(usize::from(*set)).zip(behind.next()) {
                    *next = std::mem::replace(&mut places.next, place(*hit));
                }
            }
        }
        Self { sets, hits, places, asked, touched: Vec::new(), next, passed: 0 }
    }

    /// Passes the next of the hits, the sets of which have `passed` places before it.
    pub(super) fn pass(&mut self, hit: Hit) {
        for set in self.sets.of(hit) {
            let next = self.next.get(self.passed).copied().unwrap_or(u32::MAX);
            self.passed += 1;
            if let Some(places) = self.places.get_mut(usize::from(*set)) {
                *places = Places { last: place(hit).saturating_add(1), next };
            }
        }
    }

    /// Whether one of the set ends in this range, which the last hit that was passed is in.
    pub(super) fn holds(&self, set: u16, range: &Range<usize>) -> bool {
        self.places
            .get(usize::from(set))
            .is_some_and(|places| places.last as usize > range.start || (places.next as usize) <= range.end)
    }

    /// What is known of a clause, to be told what is new.
    pub(super) fn asked(&self, clause: u16) -> Asked {
        self.asked.get(usize::from(clause)).copied().unwrap_or_default()
    }

    pub(super) fn tell(&mut self, clause: u16, news: Asked) {
        let asked = self.asked.get_mut(usize::from(clause));
        if asked.is_some_and(|asked| std::mem::replace(asked, news) == Asked::default()) {
            self.touched.push(clause);
        }
    }
}

impl Drop for Near<'_> {
    fn drop(&mut self) {
        let (mut places, mut asked) = (std::mem::take(&mut self.places), std::mem::take(&mut self.asked));
        for hit in self.hits {
            for set in self.sets.of(*hit) {
                if let Some(places) = places.get_mut(usize::from(*set)) {
                    *places = NOWHERE;
                }
            }
        }
        for clause in &self.touched {
            if let Some(asked) = asked.get_mut(usize::from(*clause)) {
                *asked = Asked::default();
            }
        }
        SPARE.set((places, asked));
    }
}

/// Texts are shorter than 4 GiB.
fn place(hit: Hit) -> u32 {
    u32::try_from(hit.at).unwrap_or(u32::MAX)
}
