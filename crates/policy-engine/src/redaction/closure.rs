//! Makes the matches of one island complete: overlaps are united, and what only comes to light once its neighbour
//! is replaced is found as well.

use std::ops::Range;

use super::{Found, Look};

/// So many rounds settle every island seen; one that needs more is replaced as a whole.
const MAX_ROUNDS: usize = 8;

/// One replacement: where it stands in the original and where in the redacted text.
struct Placed {
    original: Range<usize>,
    redacted: Range<usize>,
}

/// Matches sorted by start, by rank, become disjoint ranges; the lowest rank names a united one.
pub(crate) fn unite(places: Vec<(usize, &str, Range<usize>)>) -> Vec<(&str, Range<usize>)> {
    let mut united: Vec<(usize, &str, Range<usize>)> = Vec::with_capacity(places.len());
    for (rank, label, range) in places {
        match united.last_mut().filter(|last| range.start < last.2.end) {
            Some(last) => {
                last.2.end = last.2.end.max(range.end);
                if rank < last.0 {
                    (last.0, last.1) = (rank, label);
                }
            }
            None => united.push((rank, label, range)),
        }
    }
    united.into_iter().map(|(_, label, range)| (label, range)).collect()
}

/// Replaces, looks again, and widens until a look finds nothing outside of what was put in.
pub(super) fn close<'l>(
    text: &str,
    mut matches: Vec<(&'l str, Range<usize>)>,
    mut look_at: impl FnMut(&str) -> Vec<(&'l str, Range<usize>)>,
    look: &impl Look,
) -> Vec<Found<'l>> {
    for _ in 0..MAX_ROUNDS {
        let (redacted, placed) = redact(text, &matches, look);
        let fresh: Vec<_> = look_at(&redacted)
            .into_iter()
            .filter(|(_, range)| {
                last_begun(&placed, range.start + 1).is_none_or(|one| range.end > one.redacted.end)
            })
            .map(|(label, range)| (label, in_original(&placed, &range)))
            .collect();
        if fresh.is_empty() {
            return found(text, matches, look);
        }
        let mut all: Vec<_> =
            matches.into_iter().chain(fresh).map(|(label, range)| (0, label, range)).collect();
        all.sort_by_key(|(_, _, range)| range.start);
        matches = unite(all);
    }
    let label = matches.first().map_or("PII", |(label, _)| label);
    found(text, vec![(label, 0..text.len())], look)
}

fn found<'l>(text: &str, matches: Vec<(&'l str, Range<usize>)>, look: &impl Look) -> Vec<Found<'l>> {
    matches
        .into_iter()
        .map(|(label, range)| {
            let replacement = look.marker(label, text.get(range.clone()).unwrap_or_default());
            Found { label, range, replacement }
        })
        .collect()
}

fn redact(text: &str, matches: &[(&str, Range<usize>)], look: &impl Look) -> (String, Vec<Placed>) {
    let mut redacted = String::with_capacity(text.len());
    let mut placed = Vec::with_capacity(matches.len());
    let mut kept_to = 0;
    for (label, range) in matches {
        redacted.push_str(text.get(kept_to..range.start).unwrap_or_default());
        let start = redacted.len();
        redacted.push_str(&look.marker(label, text.get(range.clone()).unwrap_or_default()));
        placed.push(Placed { original: range.clone(), redacted: start..redacted.len() });
        kept_to = range.end;
    }
    redacted.push_str(text.get(kept_to..).unwrap_or_default());
    (redacted, placed)
}

/// A range of the redacted text in the original; a replacement it touches belongs to it as a whole.
fn in_original(placed: &[Placed], range: &Range<usize>) -> Range<usize> {
    let start = match last_begun(placed, range.start + 1) {
        None => range.start,
        Some(one) if one.redacted.end > range.start => one.original.start,
        Some(one) => one.original.end + (range.start - one.redacted.end),
    };
    let end = match last_begun(placed, range.end) {
        None => range.end,
        Some(one) if one.redacted.end > range.end => one.original.end,
        Some(one) => one.original.end + (range.end - one.redacted.end),
    };
    start..end
}

/// The last replacement that begins before this offset of the redacted text.
fn last_begun(placed: &[Placed], before: usize) -> Option<&Placed> {
    let begun = placed.partition_point(|one| one.redacted.start < before);
    placed.get(begun.checked_sub(1)?)
}
