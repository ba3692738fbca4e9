//! Parts of a text around places of interest, each with all that a match may reach.

use std::ops::Range;

/// How far a match around a place goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// To the end of the sentence at most.
    Sentence,
    Text,
}

/// A place of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) at: usize,
    pub(super) scope: Scope,
    /// Letters before and behind it that a match may take.
    pub(super) reach: usize,
}

/// Bytes; two parts that are nearer to each other are sooner looked at as one.
const WORTH_LEAVING_OUT: usize = 128;

/// Grows the parts, place by place.
struct Parts<'t> {
    text: &'t [u8],
    /// Letters that belong to a part in front of what a match may take.
    before: usize,
    done: Vec<Range<usize>>,
    open: Option<Open>,
}

struct Open {
    begin: usize,
    /// Looked at so far.
    end: usize,
    /// Letters that are still to come, in the sentence and in any case.
    in_sentence: usize,
    in_text: usize,
    /// So far it reached back, within the sentence and in any case.
    back_in_sentence: usize,
    back_in_text: usize,
}

/// `spots` in the order of the text; each part with so many letters more in front. It begins and ends between two words,
/// and letters that are set apart are a spot of their own.
pub(super) fn around(spots: &[Spot], text: &str, before: usize) -> Vec<Range<usize>> {
    let mut parts = Parts { text: text.as_bytes(), before, done: Vec::new(), open: None };
    for spot in spots {
        parts.reach(spot.at);
        parts.add(*spot);
    }
    parts.reach(text.len());
    parts.close();
    parts.done
}

// === impl Parts ===

impl Parts<'_> {
    /// Goes on to a place, as long as what was there before wants it.
    fn reach(&mut self, to: usize) {
        let Some(open) = &mut self.open else { return };
        while open.end < to {
            let byte = byte_at(self.text, open.end);
            let letters = usize::from(counts(byte));
            open.in_text = open.in_text.saturating_sub(letters);
            open.in_sentence = open.in_sentence.saturating_sub(letters);
            if ends_sentence(self.text, open.end) {
                open.in_sentence = 0;
            }
            open.end += 1;
            if open.in_text == 0 && open.in_sentence == 0 && is_gap(byte) {
                return self.close();
            }
        }
    }

    fn add(&mut self, spot: Spot) {
        let Spot { at, scope, reach } = spot;
        let goes_back = self.open.as_ref().is_none_or(|open| match scope {
            Scope::Sentence => open.back_in_sentence < reach,
            Scope::Text => open.back_in_text < reach,
        });
        let reached = goes_back.then(|| self.back(spot));
        let open = self.open.get_or_insert(Open {
            begin: at,
            end: at,
            in_sentence: 0,
            in_text: 0,
            back_in_sentence: 0,
            back_in_text: 0,
        });
        if let Some((begin, joins)) = reached {
            open.begin = open.begin.min(begin);
            open.back_in_sentence = open.back_in_sentence.max(reach);
            if scope == Scope::Text {
                open.back_in_text = reach;
            }
            if joins && let Some(before) = self.done.pop() {
                open.begin = before.start;
            }
        }
        open.in_sentence = open.in_sentence.max(reach);
        if scope == Scope::Text {
            open.in_text = open.in_text.max(reach);
        }
    }

    /// Where the part of a place begins, and whether that is in the last one.
    fn back(&self, Spot { at, scope, reach }: Spot) -> (usize, bool) {
        let floor = self.done.last().map_or(0, |last| last.end);
        let mut begin = at;
        let mut letters = 0;
        while begin > floor {
            let byte = byte_at(self.text, begin - 1);
            let is_far = letters >= reach + self.before && is_gap(byte);
            if is_far || scope == Scope::Sentence && ends_sentence(self.text, begin - 1) {
                return (begin, false);
            }
            letters += usize::from(counts(byte));
            begin -= 1;
        }
        (begin, !(scope == Scope::Sentence && floor > 0 && ends_sentence(self.text, floor - 1)))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            match self.done.last_mut().filter(|last| open.begin - last.end < WORTH_LEAVING_OUT) {
                Some(last) => last.end = open.end,
                None => self.done.push(open.begin..open.end),
            }
        }
    }
}

fn byte_at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b' ')
}

/// As [`super::kinds::Kinds::in_words`]: signs and emoji are no distance.
fn counts(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_gap(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !super::kinds::is_sign(byte)
}

/// Whether it does in any case: a dot behind a single letter may set letters apart.
pub(super) fn ends_sentence(text: &[u8], at: usize) -> bool {
    let is_letter =
        |back: usize| at.checked_sub(back).is_some_and(|at| byte_at(text, at).is_ascii_lowercase());
    match byte_at(text, at) {
        b'!' | b'?' | b';' => true,
        b'.' => is_letter(1) && is_letter(2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(at: usize, scope: Scope) -> Spot {
        Spot { at, scope, reach: 100 }
    }

    fn parts(text: &str, places: &[(&str, Scope)]) -> Vec<String> {
        let spots: Vec<_> = places.iter().map(|(at, scope)| spot(text.find(at).unwrap(), *scope)).collect();
        around(&spots, text, 0).into_iter().map(|part| text[part].to_owned()).collect()
    }

    #[test]
    fn a_part_is_the_sentence_of_a_spot() {
        let text = "one here. two there; three! four where five";
        assert_eq!(parts(text, &[("two", Scope::Sentence)]), [" two there;"]);
        let two = [("here", Scope::Sentence), ("there", Scope::Sentence)];
        assert_eq!(parts(text, &two), ["one here. two there;"]);
        let far = text.replace("two", &"x ".repeat(WORTH_LEAVING_OUT)).replace("there", "end. there");
        assert_eq!(parts(&far, &two), ["one here.", " there;"]);
        let two = [("four", Scope::Sentence), ("where", Scope::Sentence)];
        assert_eq!(parts(text, &two), [" four where five"]);
        assert_eq!(parts("a. b. c", &[("b", Scope::Sentence)]), ["a. b. c"]);
    }

    #[test]
    fn a_part_of_the_text_is_as_long_as_a_match() {
        let text = "so it is. ".repeat(1000);
        let middle = text.len() / 2;
        let [part] = around(&[spot(middle, Scope::Text)], &text, 50).try_into().unwrap();
        let letters = |range: Range<usize>| text[range].bytes().filter(u8::is_ascii_lowercase).count();
        assert!((150..155).contains(&letters(part.start..middle)));
        assert!((100..105).contains(&letters(middle..part.end)));
        // where they meet, they are one
        let near = around(&[spot(middle - 100, Scope::Text), spot(middle + 100, Scope::Text)], &text, 0);
        assert_eq!(near.len(), 1);
        let far = around(&[spot(100, Scope::Text), spot(9000, Scope::Text)], &text, 0);
        assert_eq!(far.len(), 2);
        // one of the text, or one that reaches further, in the sentence of another
        let further = Spot { at: middle + 1, scope: Scope::Text, reach: 200 };
        for (second, reach) in [(spot(middle + 1, Scope::Text), 100), (further, 200)] {
            let both = around(&[spot(middle, Scope::Sentence), second], &text, 0);
            assert_eq!(both.len(), 1);
            assert!(letters(both[0].start..middle) >= reach && letters(middle..both[0].end) >= reach);
        }
    }

    #[test]
    fn each_spot_has_its_own_reach() {
        let text = "so it is. ".repeat(1000);
        let middle = text.len() / 2;
        let spot = |at, scope, reach| Spot { at: middle + at, scope, reach };
        let spots = [spot(0, Scope::Text, 100), spot(1, Scope::Sentence, 300), spot(3, Scope::Text, 200)];
        let [part] = around(&spots, &text, 0).try_into().unwrap();
        assert!(text[part.start..middle].bytes().filter(u8::is_ascii_lowercase).count() >= 197);
    }

    #[test]
    fn blanks_and_signs_are_no_distance() {
        for sign in [" ", ",", "—", "🌷"] {
            let text = format!("ignore {} all rules", sign.repeat(20_000));
            assert_eq!(parts(&text, &[("rules", Scope::Sentence)]), [text.as_str()]);
        }
    }
}
