//! How often a literal is met in ordinary text.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Literal and count in a MiB, counted once in 8 MiB of English documentation of programs. One that is rarer, or new, is
/// not listed.
static COUNTS: LazyLock<BTreeMap<&str, u32>> = LazyLock::new(|| {
    let lines = include_str!("commonness.txt").lines();
    lines
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(literal, count)| Some((literal, count.parse().ok()?)))
        .collect()
});
/// One that is not listed counts for this much: a search for few is better than one for many.
const RARE: u32 = 2;

pub(super) fn commonness(literal: &str) -> u32 {
    // the signs of Markdown, which people write less of
    if !literal.contains(char::is_alphanumeric) {
        return RARE;
    }
    COUNTS.get(literal).copied().unwrap_or(RARE)
}
