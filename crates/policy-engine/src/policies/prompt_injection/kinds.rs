//! What the bytes of a text are, sixty-four at a time: one bit for each.

/// The bit of a byte is at its place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kinds {
    /// Lower-case letters.
    pub(super) letters: u64,
    pub(super) digits: u64,
    /// That stand for letters in the middle of a word.
    pub(super) signs: u64,
    /// Not ASCII.
    pub(super) foreign: u64,
}

pub(super) const BLOCK: usize = 64;

/// Puts the lowest bits of eight bytes together in the highest byte.
const GATHER: u64 = 0x0102_0408_1020_4080;

// === impl Kinds ===

impl Kinds {
    /// Without a branch for each byte, so that the compiler takes many at once.
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        let letters = bits(block, |byte| byte.wrapping_sub(b'a') < 26);
        let others =
            block.iter().fold(false, |any, byte| any | is_digit(*byte) | is_sign(*byte) | is_foreign(*byte));
        if !others {
            return Self { letters, ..Self::default() };
        }
        Self {
            letters,
            digits: bits(block, is_digit),
            signs: bits(block, is_sign),
            foreign: bits(block, is_foreign),
        }
    }

    /// What tells words from gaps, as far as it is ASCII and not a sign.
    pub(super) fn in_words(self) -> u64 {
        self.letters | self.digits
    }
}

fn is_digit(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10
}

pub(super) fn is_sign(byte: u8) -> bool {
    (byte == b'@') | (byte == b'$') | (byte == b'\'')
}

fn is_foreign(byte: u8) -> bool {
    byte >= 0x80
}

/// The places of the ones, from the lowest on.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (at < u64::BITS).then_some(at as usize)
    })
}

fn bits(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is(*byte));
    }
    let (eights, _) = flags.as_chunks();
    let gathered = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    gathered.rev().fold(0, |bits, eight| bits << 8 | eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_bit() {
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK {
                let mut block = [b' '; BLOCK];
                block[at] = byte;
                let Kinds { letters, digits, signs, foreign } = Kinds::of(&block);
                let expected = |is: bool| u64::from(is) << at;
                assert_eq!(letters, expected(byte.is_ascii_lowercase()), "{byte} at {at}");
                assert_eq!(digits, expected(byte.is_ascii_digit()));
                assert_eq!(signs, expected(b"@$'".contains(&byte)));
                assert_eq!(foreign, expected(!byte.is_ascii()));
            }
        }
    }
}
