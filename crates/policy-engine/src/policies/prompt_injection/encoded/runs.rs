//! Runs of a text that may be an encoding: a look at eight bytes at a time, for nearly none has any.

use std::ops::Range;

use super::MIN_SEGMENT;
use super::hex::MIN_RUN;
use crate::policies::prompt_injection::kinds::ones;

/// A run of twice as many bytes holds this many in a row that begin at a multiple of it.
const BLOCK: usize = MIN_SEGMENT / 2;
/// Bytes that are looked at at a time.
const WIDE: usize = 8 * BLOCK;
const WHOLE: u64 = u64::from_ne_bytes([1; BLOCK]);

/// Where a text may have a segment of base64.
pub(super) fn segments(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    runs(text, MIN_SEGMENT, is_in_alphabet)
}

/// Whether there are numbers of two digits in a row that may say something, with gaps between them or without.
pub(super) fn has_numbers(text: &[u8]) -> bool {
    runs(text, 2 * MIN_RUN, is_in_numbers).next().is_some()
}

/// Those of `min` bytes or more, which are at least [`MIN_SEGMENT`].
fn runs(text: &[u8], min: usize, is: impl Fn(u8) -> bool + Copy) -> impl Iterator<Item = Range<usize>> {
    let mut seen = 0;
    whole_blocks(text, is).filter_map(move |at| {
        if at < seen {
            return None;
        }
        let (before, behind) = text.split_at_checked(at)?;
        let in_run = |byte: &&u8| is(**byte);
        let start = at - before.iter().rev().take_while(in_run).count();
        seen = at + behind.iter().take_while(in_run).count();
        (seen - start >= min).then_some(start..seen)
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

pub(super) fn is_in_alphabet(byte: u8) -> bool {
    is_within(byte | 0x20, b'a', b'z') | is_within(byte, b'/', b'9') | matches!(byte, b'+' | b'-' | b'_')
}

fn is_in_numbers(byte: u8) -> bool {
    is_within(byte | 0x20, b'a', b'f') | is_within(byte, b'0', b':') | matches!(byte, b' ' | b',' | b'-')
}

fn is_within(byte: u8, first: u8, last: u8) -> bool {
    byte.wrapping_sub(first) <= last - first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_run_is_found(text in "([a-z]{1,9} |[a-zA-Z0-9+/_-]{12,40}|[.\n=]){0,30}") {
            let mut slow = Vec::new();
            let mut at = 0;
            for part in text.as_bytes().split(|byte| !is_in_alphabet(*byte)) {
                slow.extend((part.len() >= MIN_SEGMENT).then_some(at..at + part.len()));
                at += part.len() + 1;
            }
            prop_assert_eq!(segments(text.as_bytes()).collect::<Vec<_>>(), slow);
        }
    }
}
