//! Small damage to an input, and inputs blown up to where quadratic work shows.

use fastrand::Rng;

/// Bytes on which readers branch.
const EDGES: &[u8] = b"\0\x01\x08\t\n\r\x1b \"'\\/{}[]():,.-+*&!#%@|>?~0189aeuzAEZ_\x7f\x80\xbf\xc0\xc2\xe2\xed\xef\xf0\xf4\xff";

/// Numbers on which counters break.
const NUMBERS: &[&[u8]] = &[
    b"0",
    b"-0",
    b"-1",
    b"1",
    b"1e999",
    b"-1e-999",
    b"0.1",
    b"127",
    b"128",
    b"255",
    b"256",
    b"65535",
    b"65536",
    b"2147483647",
    b"2147483648",
    b"4294967295",
    b"4294967296",
    b"9007199254740993",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"00",
    b"1_000",
    b"0x10",
    b"Infinity",
];

/// Text that is read in more than one way, and bytes that are no text.
const TEXTS: &[&[u8]] = &[
    b"\xef\xbb\xbf",
    b"\xef\xbf\xbd",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xc0\x80",
    b"\xc0\xaf",
    b"\xf4\x90\x80\x80",
    b"\xf0\x9f\x98\x80",
    b"\xe2\x80\xae",
    b"\xe2\x80\x8b",
    b"\xe2\x80\xa8",
    b"\xe2\x81\xa6",
    b"\xc2\x85",
    b"\xc2\xa0",
    b"\xcc\x81",
    b"\xf0\x9f",
    b"\xe2",
    b"\xff\xfe",
    b"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
    b"\xd0\xb0",
];

/// One to a handful of edits; `other` is an input to take pieces from.
pub(crate) fn mutate(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8], tokens: &[&[u8]]) {
    loop {
        edit(rng, input, other, tokens);
        if rng.u8(0..3) == 0 {
            return;
        }
    }
}

/// The input with one piece of it repeated until it is `largest` bytes long, or nearly so.
pub(crate) fn blow_up(rng: &mut Rng, input: &[u8], tokens: &[&[u8]], largest: usize) -> Vec<u8> {
    let piece = if input.is_empty() || rng.u8(0..4) == 0 {
        let several = (0..rng.usize(1..4)).map(|_| token(rng, tokens));
        several.collect::<Vec<_>>().concat()
    } else if rng.bool() {
        line(rng, input)
    } else {
        input[range(rng, input.len(), 48)].to_vec()
    };
    let piece = if piece.is_empty() { b"a".to_vec() } else { piece };
    let room = largest.saturating_sub(input.len());
    let times = if rng.u8(0..4) == 0 { rng.usize(0..=room / piece.len()) } else { room / piece.len() };
    let at = rng.usize(0..=input.len());
    [&input[..at], &piece.repeat(times), &input[at..]].concat()
}

fn edit(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8], tokens: &[&[u8]]) {
    let at = rng.usize(0..=input.len());
    let some = range(rng, input.len(), 32);
    match rng.u8(0..17) {
        0 if at < input.len() => input[at] ^= 1 << rng.u8(0..8),
        1 if at < input.len() => input[at] = EDGES[rng.usize(0..EDGES.len())],
        2 if at < input.len() => input[at] = rng.u8(..),
        3 => insert(input, at, &[EDGES[rng.usize(0..EDGES.len())]]),
        4 | 5 => drop(input.drain(some)),
        6 => {
            let piece = input[some].to_vec();
            insert(input, at, &piece);
        }
        7 => {
            let piece = input[some].to_vec();
            let times = rng.usize(2..20);
            insert(input, at, &piece.repeat(times));
        }
        8 => {
            let piece = &other[range(rng, other.len(), 400)];
            insert(input, at, piece);
        }
        9 => {
            // the head of one, the tail of another
            input.truncate(at);
            input.extend_from_slice(&other[rng.usize(0..=other.len())..]);
        }
        10 | 11 => insert(input, at, token(rng, tokens)),
        12 => drop(input.splice(some, token(rng, tokens).iter().copied())),
        13 | 14 => number(rng, input),
        15 => insert(input, at, TEXTS[rng.usize(0..TEXTS.len())]),
        _ => match rng.u8(0..4) {
            0 => input.truncate(at),
            1 => input[some].make_ascii_uppercase(),
            2 => input[some].reverse(),
            _ => {
                let piece = line(rng, input);
                insert(input, at, &piece);
            }
        },
    }
}

/// Puts an awkward number where one stands: a whole one, no digits within a word or a digest.
fn number(rng: &mut Rng, input: &mut Vec<u8>) {
    let digits = |from: usize| input[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let alone = |at: &usize| {
        let apart = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        digits(*at) > 0
            && apart(at.checked_sub(1).and_then(|before| input.get(before)))
            && apart(input.get(at + digits(*at)))
    };
    let from = rng.usize(0..=input.len());
    let Some(start) = (from..input.len()).chain(0..from).find(alone) else { return };
    let end = start + digits(start);
    let new = NUMBERS[rng.usize(0..NUMBERS.len())];
    input.splice(start..end, new.iter().copied());
}

fn line(rng: &mut Rng, input: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.is_empty() { Vec::new() } else { lines[rng.usize(0..lines.len())].to_vec() }
}

fn token<'t>(rng: &mut Rng, tokens: &[&'t [u8]]) -> &'t [u8] {
    if tokens.is_empty() { b"a" } else { tokens[rng.usize(0..tokens.len())] }
}

/// A range of at most `longest` within `length`.
fn range(rng: &mut Rng, length: usize, longest: usize) -> std::ops::Range<usize> {
    let start = rng.usize(0..=length);
    start..(start + rng.usize(0..=longest)).min(length)
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let at = at.min(input.len());
    input.splice(at..at, piece.iter().copied());
}
