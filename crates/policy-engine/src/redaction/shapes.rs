//! Which stretches of a text some patterns match or may yet match, told byte by byte: where the earliest
//! beginning lies that is still alive, and where a match ended.
//!
//! Read as shapes, patterns match at least what they match as patterns: assertions always hold, and high counts
//! are not counted. So the work for a byte stays small, and nothing that a pattern finds lies outside of a shape.

use regex_automata::nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::{Hir, HirKind, Repetition};

/// Some patterns as shapes.
#[derive(Debug)]
pub(crate) struct Shapes {
    nfa: NFA,
    /// By byte: where the shapes stand that begin with it.
    first: Vec<Box<[StateID]>>,
    /// By byte: whether any shape holds it.
    held: Vec<bool>,
}

/// What has begun and is not decided, earliest first, each state of the shapes once.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    live: Vec<(StateID, usize)>,
    next: Vec<(StateID, usize)>,
    /// By state: the step that came to it last.
    seen: Vec<u32>,
    step: u32,
    stack: Vec<StateID>,
}

/// Counts up to here are exact.
const MAX_COUNT: u32 = 32;
/// A choice of more counts than this is none: `{1,64}` is read as `+`.
const MAX_SPREAD: u32 = 24;

// === impl Shapes ===

impl Shapes {
    /// # Errors
    /// A pattern that the regex crate does not take either.
    pub(crate) fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, String> {
        let read = |pattern| regex_syntax::parse(pattern).map(relaxed).map_err(|error| error.to_string());
        let patterns: Vec<Hir> = patterns.into_iter().map(read).collect::<Result<_, _>>()?;
        let config = Config::new().which_captures(WhichCaptures::None);
        let built = Compiler::new().configure(config).build_many_from_hir(&patterns);
        let nfa = built.map_err(|error| error.to_string())?;
        let mut beginning = Threads::default();
        beginning.begin_step(&nfa);
        beginning.enter(&nfa, nfa.start_anchored(), 0);
        let first = (0..=u8::MAX).map(|byte| {
            beginning.next.iter().filter_map(|(state, _)| after(nfa.state(*state), byte)).collect()
        });
        let first = first.collect();
        let held = held(&nfa);
        Ok(Self { first, held, nfa })
    }

    /// False: no match holds this byte, so it stands between matches.
    pub(crate) fn holds(&self, byte: u8) -> bool {
        self.held.get(usize::from(byte)).is_some_and(|held| *held)
    }
}

// === impl Threads ===

impl Threads {
    /// Reads the byte at this place. `begins`: a match may begin with it. Gives the earliest beginning of
    /// a match that ends right behind it.
    pub(crate) fn read(&mut self, shapes: &Shapes, byte: u8, at: usize, begins: bool) -> Option<usize> {
        let first = shapes.first.get(usize::from(byte)).filter(|_| begins).map_or(&[][..], |first| first);
        if self.live.is_empty() && first.is_empty() {
            return None;
        }
        self.begin_step(&shapes.nfa);
        let mut matched = None;
        // in the order of their beginnings: who comes to a state first keeps it
        let live = std::mem::take(&mut self.live);
        for &(state, start) in &live {
            if let Some(next) = after(shapes.nfa.state(state), byte)
                && self.enter(&shapes.nfa, next, start)
            {
                matched = matched.or(Some(start));
            }
        }
        for &next in first {
            if self.enter(&shapes.nfa, next, at) {
                matched = matched.or(Some(at));
            }
        }
        self.live = std::mem::replace(&mut self.next, live);
        matched
    }

    /// Where the earliest that is alive began.
    pub(crate) fn earliest(&self) -> Option<usize> {
        self.live.first().map(|(_, start)| *start)
    }

    pub(crate) fn clear(&mut self) {
        self.live.clear();
    }

    fn begin_step(&mut self, nfa: &NFA) {
        self.next.clear();
        self.step = self.step.wrapping_add(1);
        if self.step == 0 || self.seen.len() != nfa.states().len() {
            self.seen.clear();
            self.seen.resize(nfa.states().len(), 0);
            self.step = 1;
        }
    }

    /// Goes to a state and on to those that take no byte to reach. True: one of them is the end of a match.
    fn enter(&mut self, nfa: &NFA, state: StateID, start: usize) -> bool {
        let mut matched = false;
        self.stack.push(state);
        while let Some(state) = self.stack.pop() {
            let Some(seen) = self.seen.get_mut(state.as_usize()) else { continue };
            if std::mem::replace(seen, self.step) == self.step {
                continue;
            }
            match nfa.state(state) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => {
                    self.next.push((state, start))
                }
                State::Look { next, .. } | State::Capture { next, .. } => self.stack.push(*next),
                State::Union { alternates } => self.stack.extend(alternates.iter().copied()),
                State::BinaryUnion { alt1, alt2 } => self.stack.extend([*alt1, *alt2]),
                State::Fail => {}
                State::Match { .. } => matched = true,
            }
        }
        matched
    }
}

/// By byte: whether it leads from one state to another.
fn held(nfa: &NFA) -> Vec<bool> {
    let mut held = vec![false; usize::from(u8::MAX) + 1];
    let mut seen = vec![false; nfa.states().len()];
    let mut hold = |from: u8, to: u8| {
        held.iter_mut().take(usize::from(to) + 1).skip(usize::from(from)).for_each(|held| *held = true);
    };
    // the state that looks for a beginning anywhere is not reached from this one
    let mut stack = vec![nfa.start_anchored()];
    while let Some(state) = stack.pop() {
        if seen.get_mut(state.as_usize()).is_none_or(|seen| std::mem::replace(seen, true)) {
            continue;
        }
        match nfa.state(state) {
            State::ByteRange { trans } => {
                hold(trans.start, trans.end);
                stack.push(trans.next);
            }
            State::Sparse(sparse) => {
                for trans in &*sparse.transitions {
                    hold(trans.start, trans.end);
                    stack.push(trans.next);
                }
            }
            State::Dense(dense) => {
                for byte in 0..=u8::MAX {
                    if let Some(next) = dense.matches_byte(byte) {
                        hold(byte, byte);
                        stack.push(next);
                    }
                }
            }
            State::Look { next, .. } | State::Capture { next, .. } => stack.push(*next),
            State::Union { alternates } => stack.extend(alternates.iter().copied()),
            State::BinaryUnion { alt1, alt2 } => stack.extend([*alt1, *alt2]),
            State::Fail | State::Match { .. } => {}
        }
    }
    held
}

/// Where a state goes with a byte.
fn after(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } if trans.matches_byte(byte) => Some(trans.next),
        State::Sparse(sparse) => sparse.matches_byte(byte),
        State::Dense(dense) => dense.matches_byte(byte),
        _ => None,
    }
}

/// The pattern as a shape.
fn relaxed(pattern: Hir) -> Hir {
    match pattern.into_kind() {
        HirKind::Empty | HirKind::Look(_) => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Capture(capture) => relaxed(*capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(relaxed).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.into_iter().map(relaxed).collect()),
        HirKind::Repetition(repeated) => {
            let min = repeated.min.min(MAX_COUNT);
            let max =
                repeated.max.filter(|max| *max <= MAX_COUNT + MAX_SPREAD && max - repeated.min <= MAX_SPREAD);
            let max = max.filter(|_| min == repeated.min);
            Hir::repetition(Repetition { min, max, sub: Box::new(relaxed(*repeated.sub)), ..repeated })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_pattern_holds_is_known() {
        let shapes = Shapes::new([r"\b[a-c]+ x{1,64}$", "(?i)k"]).unwrap();
        let held: String = (0..0x80).map(char::from).filter(|c| shapes.holds(*c as u8)).collect();
        assert_eq!(held, " Kabckx");
    }
}
