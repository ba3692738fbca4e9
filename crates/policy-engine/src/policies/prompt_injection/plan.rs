//! What a text must hold for each curated pattern to match in it: read off the patterns when they change (`planning`),
//! and kept beside them, because a gateway has no time for that when it starts.

use super::needs::{Form, Need};

/// What is looked for to find out which patterns to run, and where.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) form: Form,
    /// A blank at the edge of one is the edge of a word.
    pub(super) literals: Vec<String>,
    /// Each of literals, by their place.
    pub(super) sets: Vec<Vec<u16>>,
    /// The same, one of which is looked for at first.
    pub(super) sides: Vec<Vec<u16>>,
    pub(super) clauses: Vec<Clause>,
}

/// One way in which a pattern may match.
#[derive(Debug)]
pub(super) struct Clause {
    /// Place of the pattern.
    pub(super) row: u16,
    /// Bytes before and behind an anchor in which the rest of a match lies.
    pub(super) reach: usize,
    /// A match ends where a sentence does.
    pub(super) in_sentence: bool,
    /// Of sides, by their place, of each of which every match holds one: those that ordinary text holds least, the first
    /// of them least of all. At least one.
    pub(super) sides: Vec<u16>,
    /// Places in `sides` of those that may come last.
    pub(super) last: Vec<u16>,
    /// Literals of which nearly every match holds one where words are glued together, and none has to stand by itself; none
    /// if there are no others.
    pub(super) glued_anchors: Vec<u16>,
    /// Of sets, by their place, of each of which a match holds one.
    pub(super) need: Need<u16>,
}

/// Bytes; no row reaches further.
pub(super) const WORDS_REACH: usize = 400;
pub(super) const PLAIN_REACH: usize = 2048;
/// A match may reach further by this part of what its pattern says: words may be longer than it counts on.
pub(super) const SLACK: usize = 4;
/// Of one clause.
pub(super) const MAX_SIDES: usize = 3;
/// Deeper ones are no formulas of ours.
const MAX_DEPTH: usize = 32;

// === impl Plan ===

impl Plan {
    /// The one of this program.
    pub(super) fn read(form: Form) -> Option<Self> {
        let text = match form {
            Form::Words => include_str!("plan/words.plan"),
            Form::Plain => include_str!("plan/delimiters.plan"),
        };
        Self::parse(text, form)
    }

    pub(super) fn parse(text: &str, form: Form) -> Option<Self> {
        let mut plan =
            Self { form, literals: Vec::new(), sets: Vec::new(), sides: Vec::new(), clauses: Vec::new() };
        for line in text.lines() {
            let (kind, rest) = line.split_once('\t')?;
            match kind {
                "literal" => plan.literals.push(rest.to_owned()),
                "set" => plan.sets.push(numbers(rest)?),
                "side" => plan.sides.push(numbers(rest)?),
                "clause" => plan.clauses.push(clause(rest)?),
                _ => return None,
            }
        }
        Some(plan)
    }

    /// The literals that a clause is anchored at.
    pub(super) fn anchors(&self, clause: &Clause) -> &[u16] {
        let first = clause.sides.first().and_then(|side| self.sides.get(usize::from(*side)));
        first.map(Vec::as_slice).unwrap_or_default()
    }
}

fn clause(text: &str) -> Option<Clause> {
    let mut columns = text.split('\t');
    Some(Clause {
        row: columns.next()?.parse().ok()?,
        reach: columns.next()?.parse().ok()?,
        in_sentence: columns.next()? == "sentence",
        sides: numbers(columns.next()?)?,
        last: numbers(columns.next()?)?,
        glued_anchors: numbers(columns.next()?)?,
        need: need(&mut columns.next()?.split(' '), MAX_DEPTH)?,
    })
}

fn numbers(text: &str) -> Option<Vec<u16>> {
    text.split_terminator(' ').map(|number| number.parse().ok()).collect()
}

fn need<'t>(words: &mut impl Iterator<Item = &'t str>, depth: usize) -> Option<Need<u16>> {
    let depth = depth.checked_sub(1)?;
    let word = words.next()?;
    let mut several = |count: &str| -> Option<Vec<Need<u16>>> {
        (0..count.parse().ok()?).map(|_: u16| need(words, depth)).collect()
    };
    match (word.strip_prefix('&'), word.strip_prefix('|')) {
        (Some(count), _) => several(count).map(Need::All),
        (_, Some(count)) => several(count).map(Need::Any),
        _ => word.parse().ok().map(Need::Literal),
    }
}
