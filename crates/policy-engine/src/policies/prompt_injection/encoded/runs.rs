//! Whether a text has a run that may be an encoding at all: a look at eight bytes at a time, for nearly none has.

use super::MIN_SEGMENT;

/// A run of twice as many bytes holds this many in a row that begin at a multiple of it.
const BLOCK: usize = MIN_SEGMENT / 2;

/// Whether there is a segment of base64, or of numbers that stand together.
pub(super) fn has_run(text: &[u8]) -> bool {
    let mut at = 0;
    text.chunks_exact(BLOCK).any(|block| {
        let is_whole = block.iter().fold(true, |all, byte| all & is_in_alphabet(*byte));
        let found = is_whole && run_around(text, at) >= MIN_SEGMENT;
        at += BLOCK;
        found
    })
}

fn run_around(text: &[u8], at: usize) -> usize {
    let (before, behind) = text.split_at_checked(at).unwrap_or((text, &[]));
    let in_run = |byte: &&u8| is_in_alphabet(**byte);
    before.iter().rev().take_while(in_run).count() + behind.iter().take_while(in_run).count()
}

/// Whether numbers of two digits stand in a row with gaps between them: two blocks of nothing else.
pub(super) fn has_pairs(text: &[u8]) -> bool {
    let mut before = false;
    text.chunks_exact(BLOCK).any(|block| {
        let is_whole = block.iter().fold(true, |all, byte| all & is_in_pairs(*byte));
        before & std::mem::replace(&mut before, is_whole) & is_whole
    })
}

/// Without a branch, so that a block is one step.
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
