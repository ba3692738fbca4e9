//! Runs of a text that are all of one kind: a look at sixty-four bytes at a time, for nearly no text has a long one.

use std::ops::Range;

use super::kinds::ones;

/// A run of [`MIN`] bytes holds this many in a row that begin at a multiple of it.
const BLOCK: usize = 8;
/// Bytes; shorter ones may be missed.
const MIN: usize = 2 * BLOCK - 1;
/// Bytes that are looked at at a time.
const WIDE: usize = 8 * BLOCK;
const WHOLE: u64 = u64::from_ne_bytes([1; BLOCK]);

/// Those of `min` bytes or more, and of `MIN`.
pub(super) fn runs(
    text: &[u8],
    min: usize,
    is: impl Fn(u8) -> bool + Copy,
) -> impl Iterator<Item = Range<usize>> {
    let mut seen = 0;
    whole_blocks(text, is).filter_map(move |at| {
        if at < seen {
            return None;
        }
        let (before, behind) = text.split_at_checked(at)?;
        let in_run = |byte: &&u8| is(**byte);
        let start = at - before.iter().rev().take_while(in_run).count();
        seen = at + behind.iter().take_while(in_run).count();
        (seen - start >= min.max(MIN)).then_some(start..seen)
    })
}

/// Where blocks begin that hold nothing else. Many are looked at at a time, without a branch for each byte.
fn whole_blocks(text: &[u8], is: impl Fn(u8) -> bool + Copy) -> impl Iterator<Item = usize> {
    let (wide, rest) = text.as_chunks::<WIDE>();
    let in_wide = wide.iter().enumerate().flat_map(move |(number, wide)| {
        let mut flags = [0; WIDE];
        for (flag, byte) in flags.iter_mut().zip(wide) {
            *flag = u8::from(is(*byte));
        }
        let (blocks, _) = flags.as_chunks::<BLOCK>();
        let whole = blocks
            .iter()
            .rev()
            .fold(0, |bits, block| bits << 1 | u64::from(u64::from_ne_bytes(*block) == WHOLE));
        ones(whole).map(move |block| number * WIDE + block * BLOCK)
    });
    let behind = text.len() - rest.len();
    let in_rest =
        rest.chunks_exact(BLOCK).enumerate().filter(move |(_, block)| block.iter().all(|byte| is(*byte)));
    in_wide.chain(in_rest.map(move |(block, _)| behind + block * BLOCK))
}

pub(super) fn is_within(byte: u8, first: u8, last: u8) -> bool {
    byte.wrapping_sub(first) <= last - first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_run_is_found(text in "([a-z]{1,9} |[a-z]{12,40}|[.\n=]){0,30}") {
            let is = |byte: u8| byte.is_ascii_lowercase();
            let mut slow = Vec::new();
            let mut at = 0;
            for part in text.as_bytes().split(|byte| !is(*byte)) {
                slow.extend((part.len() >= MIN).then_some(at..at + part.len()));
                at += part.len() + 1;
            }
            prop_assert_eq!(runs(text.as_bytes(), MIN, is).collect::<Vec<_>>(), slow);
        }
    }
}
