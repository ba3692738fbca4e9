//! The blocked terms as one automaton that reads a text letter by letter and knows where each letter stands.

use std::ops::Range;

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, StartKind};

use super::spelling::{self, Read};

#[derive(Debug)]
pub(super) struct Terms {
    /// `None`: no terms.
    automaton: Option<DFA>,
    /// Of each term: its length in letters and gaps, and whether its ends are where a word may go on.
    terms: Vec<Term>,
    longest: usize,
    shapes: Vec<String>,
}

#[derive(Debug)]
struct Term {
    letters: usize,
    first: char,
    last: char,
}

/// Back to here for a word that goes on before a term, past characters that nobody sees.
const UNSEEN: usize = 8;

// === impl Terms ===

impl Terms {
    pub(super) fn compile(blocked: &[String]) -> Result<Self, String> {
        let mut spelled: Vec<String> = blocked.iter().map(|term| letters(term)).collect();
        spelled.sort_unstable();
        spelled.dedup();
        spelled.retain(|term| !term.is_empty());
        let automaton = match spelled.is_empty() {
            true => None,
            false => {
                let built = DFA::builder().start_kind(StartKind::Unanchored).build(&spelled);
                Some(built.map_err(|error| error.to_string())?)
            }
        };
        let ends = |term: &String| {
            let (first, last) = (term.chars().next()?, term.chars().next_back()?);
            Some(Term { letters: term.chars().count(), first, last })
        };
        let terms: Vec<Term> = spelled.iter().filter_map(ends).collect();
        let longest = terms.iter().map(|term| term.letters).max().unwrap_or_default();
        let shapes = spelled.iter().map(|term| shape(term)).collect();
        Ok(Self { automaton, terms, longest, shapes })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Expressions that match wherever a term is found, and seldom elsewhere.
    pub(super) fn shapes(&self) -> &[String] {
        &self.shapes
    }

    /// The places of all terms that begin at `from` or later, in the order of their ends; they may overlap.
    pub(super) fn find(&self, text: &str, from: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let Some(automaton) = &self.automaton else { return found };
        let Ok(start) = automaton.start_state(Anchored::No) else { return found };
        let mut state = start;
        // where the last letters began, round and round
        let mut begun = vec![0; self.longest];
        let (mut read, mut in_gap) = (0, false);
        for (at, c) in text.get(from..).unwrap_or_default().char_indices() {
            let letter = match spelling::read(c) {
                Read::Nothing => continue,
                Read::Gap if in_gap => continue,
                Read::Gap => ' ',
                Read::Letter(letter) => letter,
            };
            in_gap = letter == ' ';
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                state = automaton.next_state(Anchored::No, state, byte);
            }
            if let Some(place) = begun.get_mut(read % self.longest) {
                *place = from + at;
            }
            read += 1;
            if automaton.is_match(state) {
                let end = from + at + c.len_utf8();
                for index in 0..automaton.match_len(state) {
                    let term = self.terms.get(automaton.match_pattern(state, index).as_usize());
                    let place = term.and_then(|term| {
                        let first = read.checked_sub(term.letters)?;
                        term.stands_alone(text, *begun.get(first % self.longest)?, end)
                    });
                    found.extend(place);
                }
            }
        }
        found
    }
}

// === impl Term ===

impl Term {
    /// The place of a term that ends here, with what nobody sees behind it, unless it is part of a word.
    fn stands_alone(&self, text: &str, start: usize, end: usize) -> Option<Range<usize>> {
        let (before, after) = (text.get(..start)?, text.get(end..)?);
        let unseen = after.find(|c| spelling::read(c) != Read::Nothing).unwrap_or(after.len());
        let next = after.get(unseen..)?.chars().next();
        let last = before.chars().rev().take(UNSEEN).find(|c| spelling::read(*c) != Read::Nothing);
        let goes_on = |edge: char, c: Option<char>| is_of_words(edge) && c.is_some_and(is_of_words);
        (!goes_on(self.first, last) && !goes_on(self.last, next)).then_some(start..end + unseen)
    }
}

/// A term as it is read: letters in their one form, one blank between words.
fn letters(term: &str) -> String {
    let mut letters = String::with_capacity(term.len());
    for c in term.chars() {
        match spelling::read(c) {
            Read::Letter(letter) => letters.push(letter),
            Read::Gap if !letters.ends_with(' ') => letters.push(' '),
            Read::Gap | Read::Nothing => {}
        }
    }
    letters.trim().to_owned()
}

fn shape(letters: &str) -> String {
    let nothing = spelling::class_of_nothing();
    let items = letters.chars().map(|letter| match letter {
        ' ' => format!("{}+", spelling::class_of_gaps()),
        letter => format!("{}{nothing}*", spelling::class_of(letter)),
    });
    items.collect()
}

/// Letters and digits of scripts that set words apart; in the others a term may stand anywhere.
fn is_of_words(c: char) -> bool {
    let runs_on = matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}');
    c.is_alphanumeric() && !runs_on
}
