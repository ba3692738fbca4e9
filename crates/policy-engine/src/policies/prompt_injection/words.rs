//! The bare words of a text: look-alike letters, digits for letters and letters set apart are read as what they pass for.

use std::ops::Range;

use super::homoglyphs;
use super::plan::WORDS_REACH;

/// One blank between words, `.` where a sentence ends, a blank in front and behind.
#[derive(Debug)]
pub(super) struct Words {
    text: String,
    pub(super) glued: Glued,
}

/// Where words may stand together without a gap.
#[derive(Debug, Default)]
pub(super) struct Glued {
    /// Behind letters that were set apart and are one word.
    apart: Vec<usize>,
    /// Behind words that parts of a text were put together in.
    seams: Vec<usize>,
}

/// What a byte is in the middle of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    /// A digit, or a sign that stands for a letter.
    Sign,
    Gap,
    End,
    Dot,
    Foreign,
}

/// So many letters set apart are a word.
pub(super) const MIN_APART: u32 = 4;

// === impl Words ===

impl Words {
    /// Of a plain text (see `normalize::plain`) the parts of which were put together at `seams`, in their order.
    pub(super) fn of(plain: &str, seams: &[usize]) -> Self {
        let mut writer = Writer::new(plain.len());
        let mut seams = seams.iter().copied().peekable();
        let mut rest = plain;
        while !rest.is_empty() {
            let begin = plain.len() - rest.len();
            rest = writer.word(rest);
            let end = plain.len() - rest.len();
            while let Some(seam) = seams.next_if(|seam| *seam < end) {
                if seam > begin {
                    writer.words.glued.seams.push(writer.words.text.len());
                }
            }
            rest = writer.gap(rest);
        }
        writer.end()
    }

    /// Of a part of one.
    pub(super) fn of_part(plain: &str, part: Range<usize>, seams: &[usize]) -> Self {
        let seams: Vec<usize> = within(seams, part.clone()).map(|seam| seam - part.start).collect();
        Self::of(plain.get(part).unwrap_or_default(), &seams)
    }

    /// As a pattern reads it.
    pub(super) fn text(&self) -> &str {
        self.text.strip_suffix(' ').unwrap_or(&self.text)
    }

    /// As literals with a blank at their edge are looked for.
    pub(super) fn between_blanks(&self) -> &str {
        &self.text
    }
}

// === impl Glued ===

impl Glued {
    pub(super) fn is_near(&self, at: usize) -> bool {
        [&self.apart, &self.seams].into_iter().any(|places| {
            let from = places.partition_point(|place| place.saturating_add(WORDS_REACH) < at);
            places.get(from).is_some_and(|place| *place <= at.saturating_add(WORDS_REACH))
        })
    }

    pub(super) fn is_nowhere(&self) -> bool {
        self.apart.is_empty() && self.seams.is_empty()
    }

    /// The places in a range behind letters that were set apart.
    pub(super) fn apart(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        within(&self.apart, range)
    }

    /// The same behind words that parts were put together in.
    pub(super) fn seams(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        within(&self.seams, range)
    }
}

/// Those in a range, its end included; in order.
pub(super) fn within(places: &[usize], range: Range<usize>) -> impl Iterator<Item = usize> {
    let from = places.partition_point(|place| *place < range.start);
    let places = places.get(from..).unwrap_or_default().iter().copied();
    places.take_while(move |place| *place <= range.end)
}

struct Writer {
    words: Words,
    /// Letters that stand alone, so far.
    apart: String,
}

// === impl Writer ===

impl Writer {
    fn new(size: usize) -> Self {
        let mut text = String::with_capacity(size + size / 8 + 2);
        text.push(' ');
        Self { words: Words { text, glued: Glued::default() }, apart: String::new() }
    }

    /// Takes the word that a text begins with, if it does.
    fn word<'t>(&mut self, text: &'t str) -> &'t str {
        let bytes = text.as_bytes();
        let letters = bytes.iter().position(|byte| class(*byte) != Class::Letter).unwrap_or(bytes.len());
        let is_bare =
            bytes.get(letters).is_none_or(|next| !matches!(class(*next), Class::Sign | Class::Foreign));
        let end = if is_bare { letters } else { text.find(|c| !in_word(c)).unwrap_or(text.len()) };
        let Some((word, behind)) = text.split_at_checked(end) else { return "" };
        match (is_bare, word.len()) {
            (_, 0) => {}
            (true, 1) => self.apart.push_str(word),
            (true, _) => {
                self.flush();
                self.push(word);
            }
            (false, _) => {
                let word = fold_digits(&homoglyphs::fold(word.trim_matches(is_letter_sign)));
                if word.chars().nth(1).is_none() && !word.is_empty() {
                    self.apart.push_str(&word);
                } else {
                    self.flush();
                    self.push(&word);
                }
            }
        }
        behind
    }

    /// Takes what stands between two words.
    fn gap<'t>(&mut self, text: &'t str) -> &'t str {
        let (mut ends, mut has_dot) = (false, false);
        let mut at = 0;
        while let Some(byte) = text.as_bytes().get(at) {
            match class(*byte) {
                Class::Gap => {}
                Class::End => ends = true,
                Class::Dot => has_dot = true,
                Class::Foreign => {
                    let Some(c) =
                        text.get(at..).and_then(|rest| rest.chars().next()).filter(|c| !in_word(*c))
                    else {
                        break;
                    };
                    ends |= matches!(c, '。' | '！' | '？');
                    at += c.len_utf8();
                    continue;
                }
                Class::Letter | Class::Sign => break,
            }
            at += 1;
        }
        // a dot between single letters sets them apart as a blank would
        if ends || has_dot && self.apart.is_empty() {
            self.flush();
            if !self.words.text.ends_with('.') {
                self.words.text.push('.');
            }
        }
        text.get(at..).unwrap_or_default()
    }

    /// Letters set apart (`i g n o r e`) are one word from some on.
    fn flush(&mut self) {
        if self.apart.is_empty() {
            return;
        }
        let apart = std::mem::take(&mut self.apart);
        let is_word = |letters: usize| u32::try_from(letters).is_ok_and(|letters| letters >= MIN_APART);
        if is_word(apart.chars().count()) {
            self.push(&apart);
            // a table of digits is no word
            if is_word(apart.chars().filter(|c| c.is_alphabetic()).count()) {
                self.words.glued.apart.push(self.words.text.len());
            }
        } else {
            apart.chars().for_each(|letter| self.push(letter.encode_utf8(&mut [0; 4])));
        }
    }

    fn push(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        let text = &mut self.words.text;
        if text.len() > 1 {
            text.push(' ');
        }
        text.push_str(word);
    }

    fn end(mut self) -> Words {
        self.flush();
        self.words.text.push(' ');
        self.words
    }
}

const fn class_of(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
        b'0'..=b'9' | b'@' | b'$' | b'\'' => Class::Sign,
        b'!' | b'?' | b';' => Class::End,
        b'.' => Class::Dot,
        0..=0x7f => Class::Gap,
        0x80..=0xff => Class::Foreign,
    }
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Gap; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "up to 255")]
        #[expect(clippy::indexing_slicing, reason = "at compile time")]
        {
            classes[byte] = class_of(byte as u8);
        }
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Foreign)
}

fn in_word(c: char) -> bool {
    // the commonest need no look into the tables of Unicode
    matches!(c, 'a'..='z' | 'а'..='я' | '\u{4e00}'..='\u{9fff}') || c.is_alphanumeric() || is_letter_sign(c)
}

/// Stand for letters in the middle of a word.
fn is_letter_sign(c: char) -> bool {
    matches!(c, '@' | '$' | '\'' | '’')
}

/// `1gn0r3` → `ignore`, in words that hold a letter as well.
fn fold_digits(word: &str) -> String {
    let has_letter = word.bytes().any(|byte| byte.is_ascii_lowercase());
    word.chars()
        .filter(|c| !matches!(c, '\'' | '’'))
        .map(|c| match u8::try_from(c) {
            Ok(byte) if has_letter && byte.is_ascii() => char::from(letter_for(byte)),
            _ => c,
        })
        .collect()
}

/// The letters of a word of ASCII that holds one, and digits and signs beside it.
pub(super) fn read_as(word: &str) -> impl Iterator<Item = u8> {
    word.trim_matches(is_letter_sign).bytes().filter(|byte| *byte != b'\'').map(letter_for)
}

/// What a digit or a sign passes for.
fn letter_for(byte: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        byte => byte,
    }
}
