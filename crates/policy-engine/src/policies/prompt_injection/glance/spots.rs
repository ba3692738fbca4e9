//! Where a text needs a second look, found in wide steps: each loop here is one that the compiler vectorises.

/// What a byte is to the words around it. Nothing of this: it separates words.
pub(super) mod class {
    pub(in super::super) const LETTER: u8 = 1;
    /// May stand for a letter.
    pub(in super::super) const SIGN: u8 = 2;
    pub(in super::super) const APOSTROPHE: u8 = 4;
    pub(in super::super) const FOREIGN: u8 = 8;
    /// A letter that is also a word of English.
    pub(in super::super) const ARTICLE: u8 = 16;
    pub(in super::super) const ANY: u8 = 31;
}

use class::{ANY, APOSTROPHE, ARTICLE, FOREIGN, LETTER, SIGN};

const BLOCK: usize = 512;

#[inline]
pub(super) fn class_of(byte: u8) -> u8 {
    let lower = byte | 0x20;
    let letter = lower.wrapping_sub(b'a') < 26;
    let article = (lower == b'a') | (lower == b'i');
    let sign = (byte.wrapping_sub(b'0') < 10) | (byte == b'@') | (byte == b'$');
    (u8::from(letter) * LETTER)
        | (u8::from(sign) * SIGN)
        | (u8::from(byte == b'\'') * APOSTROPHE)
        | (u8::from(byte >= 0x80) * FOREIGN)
        | (u8::from(letter & article) * ARTICLE)
}

/// True as soon as `suspicious` says so of a place: a letter beside a sign, a letter that stands alone, an apostrophe,
/// the beginning of what is not ASCII.
pub(super) fn any_odd(text: &[u8], mut suspicious: impl FnMut(usize) -> bool) -> bool {
    let mut classes = [0_u8; BLOCK + 2];
    let mut flags = [0_u8; BLOCK];
    for (number, block) in text.chunks(BLOCK).enumerate() {
        let start = number * BLOCK;
        // one more on both sides
        let before = start.checked_sub(1).and_then(|at| text.get(at));
        let after = text.get(start + block.len());
        if let Some(first) = classes.first_mut() {
            *first = before.map_or(0, |byte| class_of(*byte));
        }
        for (class, byte) in classes.iter_mut().skip(1).zip(block) {
            *class = class_of(*byte);
        }
        if let Some(last) = classes.get_mut(block.len() + 1) {
            *last = after.map_or(0, |byte| class_of(*byte));
        }
        let (here, next) = (classes.get(1..).unwrap_or_default(), classes.get(2..).unwrap_or_default());
        for (((flag, before), here), next) in flags.iter_mut().zip(&classes).zip(here).zip(next) {
            let near = *before | *next;
            let letter = here & LETTER != 0;
            let beside_sign = letter & (near & SIGN != 0);
            let alone = letter & (here & ARTICLE == 0) & (near & (LETTER | SIGN | APOSTROPHE | FOREIGN) == 0);
            let foreign = (here & FOREIGN != 0) & (before & FOREIGN == 0);
            *flag = u8::from(beside_sign | alone | foreign | (here & APOSTROPHE != 0));
        }
        let flags = flags.get(..block.len()).unwrap_or_default();
        if memchr::memchr_iter(1, flags).any(|offset| suspicious(start + offset)) {
            return true;
        }
    }
    false
}

/// The bytes around a place that all are `inside`.
pub(super) fn run_at(text: &[u8], at: usize, inside: impl Fn(u8) -> bool) -> std::ops::Range<usize> {
    let (head, tail) = text.split_at_checked(at).unwrap_or((text, &[]));
    let start = head.iter().rposition(|byte| !inside(*byte)).map_or(0, |outside| outside + 1);
    let end = tail.iter().position(|byte| !inside(*byte)).map_or(text.len(), |outside| at + outside);
    start..end
}

/// The word around a place: everything that may take part in it.
pub(super) fn word_at(text: &[u8], at: usize) -> std::ops::Range<usize> {
    run_at(text, at, |byte| class_of(byte) & ANY != 0)
}
