//! Finding parts of a text and putting something else in their place: the same for a text that is there as a
//! whole and for one that flows, whatever is looked for.

mod closure;
mod embedded;
mod flow;
mod json_prefix;
mod loose;
mod segments;
mod shapes;

use std::ops::Range;

pub(crate) use self::closure::unite;
pub(crate) use self::flow::{Finding, LookFlow};
use self::segments::{BEFORE, LONGEST, Part, Segments};
pub(crate) use self::shapes::Shapes;
use crate::budget::Budget;
use crate::policies::{CannotJudge, Subject};
use crate::text::Edit;

/// What is looked for, and what stands in its place.
pub(crate) trait Look: std::fmt::Debug + Send + Sync {
    /// Everything that [`Look::matches`] finds lies within these, with no more than two characters behind a match
    /// and 64 bytes before it to decide about it.
    fn shapes(&self) -> &Shapes;

    /// Label and place of each match that begins at `from` or later, in order, without overlap; what stands before
    /// `from` is read as context.
    fn matches(&self, text: &str, from: usize) -> Vec<(&str, Range<usize>)>;

    fn marker(&self, label: &str, found: &str) -> String;
}

/// A part of a text that was found, and what is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<'l> {
    pub(crate) label: &'l str,
    pub(crate) range: Range<usize>,
    pub(crate) replacement: String,
}

/// So much is read on, and then up to the next byte over which nothing is found, before it is asked whether all is
/// done.
const STRIDE: usize = 64;

/// So much is looked at before the budget is asked again.
const SLICE: usize = 32 * 1024;
/// A character, at most.
const CHARACTER: usize = 4;

/// What is found in all texts of a body, in order, without overlap, also in JSON that is a text; and its labels as they
/// were met.
///
/// # Errors
/// It takes more than is left of the budget.
pub(crate) fn scan_all<'l>(
    look: &'l impl Look,
    subject: &Subject<'_>,
) -> Result<(Vec<Edit>, Vec<&'l str>), CannotJudge> {
    let (mut edits, mut labels) = (Vec::new(), Vec::new());
    for (at, piece) in subject.texts.pieces().iter().enumerate() {
        subject.budget.spend(piece.text().len())?;
        for found in embedded::scan(look, piece.text(), subject.budget)? {
            if !labels.contains(&found.label) {
                labels.push(found.label);
            }
            edits.push(found.into_edit(at));
        }
    }
    Ok((edits, labels))
}

/// What is found in a text that is read as it stands.
fn plain<'l>(look: &'l impl Look, text: &str, budget: &Budget<'_>) -> Result<Vec<Found<'l>>, CannotJudge> {
    let is_long = text.len() >= LONGEST && may_be_cut(look.shapes(), text);
    let matches = if is_long { Vec::new() } else { matches_of(look, text, budget)? };
    if matches.is_empty() && !is_long {
        return Ok(Vec::new());
    }
    let mut reading = Reading { look, text, budget, segments: Segments::default(), at: 0, found: Vec::new() };
    if is_long {
        while reading.at < text.len() {
            reading.take((reading.at + SLICE).min(text.len()))?;
        }
        return Ok(reading.found);
    }
    for (_, place) in matches {
        if place.start >= reading.at {
            reading.go_to(place.start);
            reading.read_from(place.start)?;
        }
    }
    Ok(reading.found)
}

/// The matches of a text, looked at in slices. Each ends with a byte over which nothing is found, so it has what the
/// whole text has in its place.
fn matches_of<'l>(
    look: &'l impl Look,
    text: &str,
    budget: &Budget<'_>,
) -> Result<Vec<(&'l str, Range<usize>)>, CannotJudge> {
    if text.len() <= SLICE {
        return Ok(look.matches(text, 0));
    }
    let mut all = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let ahead = text.as_bytes().get(at + SLICE..).unwrap_or_default();
        let apart = ahead.iter().position(|byte| !look.shapes().holds(*byte));
        let end = apart.map_or(text.len(), |apart| text.ceil_char_boundary(at + SLICE + apart + 1));
        budget.spend(end - at)?;
        let begin = text.floor_char_boundary(at.saturating_sub(BEFORE));
        let window = text.get(begin..text.ceil_char_boundary(end + CHARACTER)).unwrap_or_default();
        let found = look.matches(window, at - begin).into_iter();
        let found = found.map(|(label, range)| (label, range.start + begin..range.end + begin));
        all.extend(found.filter(|(_, range)| range.start < end));
        at = end;
    }
    Ok(all)
}

/// Both, in order, without those of the second that meet one of the first; each in order and without overlap.
fn join<'l>(mut first: Vec<Found<'l>>, second: Vec<Found<'l>>) -> Vec<Found<'l>> {
    let known = first.len();
    for one in second {
        let earlier = first.get(..known).unwrap_or_default();
        let begun = earlier.partition_point(|known| known.range.start < one.range.end);
        let last = begun.checked_sub(1).and_then(|at| earlier.get(at));
        if last.is_none_or(|last| last.range.end <= one.range.start) {
            first.push(one);
        }
    }
    first.sort_by_key(|one| one.range.start);
    first
}

/// Without a byte that no shape holds, something in it may be too long to be found.
fn may_be_cut(shapes: &Shapes, text: &str) -> bool {
    let mut run = 0;
    text.bytes().any(|byte| {
        run = if shapes.holds(byte) { run + 1 } else { 0 };
        run >= LONGEST - BEFORE
    })
}

/// A whole text, read where something is found in it.
struct Reading<'l, 't, L> {
    look: &'l L,
    text: &'t str,
    budget: &'t Budget<'t>,
    segments: Segments,
    at: usize,
    found: Vec<Found<'l>>,
}

// === impl Reading ===

impl<L: Look> Reading<'_, '_, L> {
    /// Leaves out what lies before the last byte before `start` over which nothing is found.
    fn go_to(&mut self, start: usize) {
        let before = self.text.get(self.at..start).unwrap_or_default();
        let Some(apart) = before.bytes().rposition(|byte| !self.look.shapes().holds(byte)) else { return };
        let skipped = before.get(..before.ceil_char_boundary(apart + 1)).unwrap_or_default();
        self.segments.skip(skipped);
        self.at += skipped.len();
    }

    /// Reads on beyond `start`, until nothing has begun and what was replaced is too far back to count.
    fn read_from(&mut self, start: usize) -> Result<(), CannotJudge> {
        while self.at < self.text.len() {
            let ahead = self.text.as_bytes().get(self.at + STRIDE..).unwrap_or_default();
            let apart = ahead.iter().position(|byte| !self.look.shapes().holds(*byte));
            self.take(apart.map_or(self.text.len(), |apart| self.at + STRIDE + apart + 1))?;
            let replaced_to = self.found.last().map_or(0, |last| last.range.end + BEFORE);
            if self.at > start.max(replaced_to) && self.segments.is_idle() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, to: usize) -> Result<(), CannotJudge> {
        let to = self.text.ceil_char_boundary(to.min(self.text.len()));
        let piece = self.text.get(self.at..to).unwrap_or_default();
        self.budget.spend(piece.len())?;
        let mut given = self.at - self.segments.held();
        let found = &mut self.found;
        self.segments.take(self.look, piece, to == self.text.len(), &mut |part| match part {
            Part::Kept(kept) => given += kept.len(),
            Part::Found { label, found: text, marker } => {
                found.push(Found { label, range: given..given + text.len(), replacement: marker });
                given += text.len();
            }
        });
        self.at = to;
        Ok(())
    }
}

// === impl Found ===

impl Found<'_> {
    pub(crate) fn into_edit(self, piece: usize) -> Edit {
        Edit { piece, range: self.range, replacement: self.replacement }
    }
}

#[cfg(test)]
mod tests;
