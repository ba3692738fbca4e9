//! Whether a text has a run that may be an encoding at all: a look at eight bytes at a time, for nearly none has.

use super::MIN_SEGMENT;

/// A run of twice as many bytes holds this many in a row that begin at a multiple of it.
const BLOCK: usize = MIN_SEGMENT / 2;
/// Bytes that are looked at at a time.
const WIDE: usize = 8 * BLOCK;
const WHOLE: u64 = u64::from_ne_bytes([1; BLOCK]);

/// Whether there is a segment of base64, or of numbers that stand together.
pub(super) fn has_run(text: &[u8]) -> bool {
    blocks(text, is_in_alphabet).any(|(at, is_whole)| is_whole && run_around(text, at) >= MIN_SEGMENT)
}

/// Whether numbers of two digits stand in a row with gaps between them: two blocks of nothing else.
pub(super) fn has_pairs(text: &[u8]) -> bool {
    let mut before = false;
    blocks(text, is_in_pairs).any(|(_, is_whole)| std::mem::replace(&mut before, is_whole) && is_whole)
}

/// Where the blocks of a text begin, and whether all bytes of one are of some kind. Many at a time, without a branch for
/// each.
fn blocks(text: &[u8], is: impl Fn(u8) -> bool + Copy) -> impl Iterator<Item = (usize, bool)> {
    let (wide, rest) = text.as_chunks::<WIDE>();
    let in_wide = wide.iter().enumerate().flat_map(move |(at, wide)| {
        let mut flags = [0; WIDE];
        for (flag, byte) in flags.iter_mut().zip(wide) {
            *flag = u8::from(is(*byte));
        }
        let (blocks, _) = flags.as_chunks::<BLOCK>();
        let whole: [bool; 8] = std::array::from_fn(|block| {
            blocks.get(block).is_some_and(|block| u64::from_ne_bytes(*block) == WHOLE)
        });
        whole.into_iter().enumerate().map(move |(block, is_whole)| (at * WIDE + block * BLOCK, is_whole))
    });
    let behind = text.len() - rest.len();
    let in_rest = rest.chunks_exact(BLOCK).enumerate();
    in_wide.chain(
        in_rest.map(move |(block, bytes)| (behind + block * BLOCK, bytes.iter().all(|byte| is(*byte)))),
    )
}

fn run_around(text: &[u8], at: usize) -> usize {
    let (before, behind) = text.split_at_checked(at).unwrap_or((text, &[]));
    let in_run = |byte: &&u8| is_in_alphabet(**byte);
    before.iter().rev().take_while(in_run).count() + behind.iter().take_while(in_run).count()
}

fn is_in_alphabet(byte: u8) -> bool {
    is_within(byte | 0x20, b'a', b'z') | is_within(byte, b'/', b'9') | matches!(byte, b'+' | b'-' | b'_')
}

fn is_in_pairs(byte: u8) -> bool {
    is_within(byte | 0x20, b'a', b'f') | is_within(byte, b'0', b':') | matches!(byte, b' ' | b',' | b'-')
}

fn is_within(byte: u8, first: u8, last: u8) -> bool {
    byte.wrapping_sub(first) <= last - first
}

#[cfg(test)]
mod tests {
    use super::super::in_alphabet;
    use super::*;

    #[test]
    fn the_alphabet_is_the_same() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_in_alphabet(byte), in_alphabet(char::from(byte)), "{byte}");
        }
    }
}
