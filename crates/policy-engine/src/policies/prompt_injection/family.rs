//! Patterns that read one form of a text. One scan tells which literals the text holds; a pattern runs only where what
//! it needs stands close together, and over no more than that.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::Input;
use regex_automata::meta::Regex;

use super::clause::Clause;
use super::lexicon::{Hit, Lexicon};
use super::near::{Near, Sets};
use super::needs::Form;
use super::patterns::Pattern;
use super::words::Glued;

#[derive(Debug)]
pub(super) struct Family {
    lexicon: Lexicon,
    sets: Sets,
    /// For each set, whether it has a literal that is a word of its own.
    has_word: Vec<bool>,
    /// For each literal, the clauses of which every match holds such a literal.
    anchored: Vec<Vec<u16>>,
    all: Vec<u16>,
    clauses: Vec<Clause<u16>>,
    rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Row {
    source: String,
    /// Built when a text first holds what it needs: most never are, and all of them would take megabytes.
    regex: OnceLock<Option<Regex>>,
}

/// Where a row may match.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) row: &'a Row,
    pub(super) range: Range<usize>,
}

/// Stands where any row may be anchored.
const NO_LITERAL: u16 = u16::MAX;
/// Bytes; no row reaches further.
pub(super) const REACH: usize = 400;
/// A row is asked again when the text went on by this part of its reach, and reaches so much further.
const SLACK: usize = 4;
/// Memory that the search cache of one row may take.
const CACHE: usize = 256 << 10;

// === impl Family ===

impl Family {
    /// `None`: a pattern asks for nothing that could be looked for. `expand` makes of a pattern what is run.
    pub(super) fn build(patterns: &[Pattern], form: Form, expand: fn(&str) -> String) -> Option<Self> {
        let mut wanted = Vec::new();
        for (row, pattern) in patterns.iter().enumerate() {
            wanted.extend(Clause::of(u16::try_from(row).ok()?, pattern.source, form)?);
        }
        let mut literals: Vec<&str> =
            wanted.iter().flat_map(|clause| clause.need.literals()).map(String::as_str).collect();
        literals.sort_unstable();
        literals.dedup();
        let number =
            |literal: &str| literals.binary_search(&literal).ok().and_then(|at| u16::try_from(at).ok());
        let mut anchored = vec![Vec::new(); literals.len()];
        let mut members: BTreeMap<Vec<u16>, u16> = BTreeMap::new();
        let mut clauses = Vec::with_capacity(wanted.len());
        let mut anchors = Vec::new();
        for clause in &wanted {
            for anchor in clause.anchors()? {
                anchored.get_mut(usize::from(number(anchor)?))?.push(u16::try_from(clauses.len()).ok()?);
                anchors.push(anchor);
            }
            let need = clause.need.grouped(&mut |set: &[&String]| {
                let mut set: Vec<u16> = set.iter().filter_map(|literal| number(literal)).collect();
                set.sort_unstable();
                let next = u16::try_from(members.len()).unwrap_or(u16::MAX);
                *members.entry(set).or_insert(next)
            });
            let Clause { row, reach, in_sentence, .. } = *clause;
            clauses.push(Clause { row, need, reach, in_sentence });
        }
        let mut members: Vec<(Vec<u16>, u16)> = members.into_iter().collect();
        members.sort_by_key(|(_, set)| *set);
        let members: Vec<Vec<u16>> = members.into_iter().map(|(literals, _)| literals).collect();
        let is_word: Vec<bool> = literals.iter().map(|literal| literal.starts_with(' ')).collect();
        let has_word = |set: &Vec<u16>| {
            set.iter().any(|literal| is_word.get(usize::from(*literal)).is_some_and(|is_word| *is_word))
        };
        Some(Self {
            lexicon: Lexicon::build(&literals, &anchors, form)?,
            sets: Sets::new(&members, literals.len())?,
            has_word: members.iter().map(has_word).collect(),
            anchored,
            all: (0..u16::try_from(clauses.len()).ok()?).collect(),
            clauses,
            rows: patterns
                .iter()
                .map(|pattern| Row { source: expand(pattern.source), regex: OnceLock::new() })
                .collect(),
        })
    }

    /// The rows that may match in a text, and where. `glued`: where words may stand together without a gap.
    pub(super) fn candidates(&self, text: &str, glued: &Glued) -> Vec<Candidate<'_>> {
        let hits = self.hits(text, glued.apart());
        let mut found: Vec<Candidate<'_>> = Vec::new();
        if hits.iter().all(|hit| self.anchored_by(*hit).is_empty()) {
            return found;
        }
        let mut near = Near::new(&self.sets, self.clauses.len(), &hits);
        let mut sentence = 0..0;
        for hit in &hits {
            near.pass(*hit);
            let anchored = self.anchored_by(*hit);
            if anchored.is_empty() {
                continue;
            }
            if hit.at > sentence.end {
                sentence = sentence_around(text, hit.at);
            }
            let is_glued = glued.is_near(hit.at);
            for &at in anchored {
                let Some(clause) = self.clauses.get(usize::from(at)) else { continue };
                let mut asked = near.asked(at);
                // what is a little further on sees the same
                if hit.at < asked.again {
                    continue;
                }
                let reach = clause.reach + clause.reach / SLACK;
                let mut range = hit.at.saturating_sub(reach)..(hit.at + reach).min(text.len());
                asked.again = hit.at + clause.reach / SLACK;
                if clause.in_sentence {
                    range = range.start.max(sentence.start)..range.end.min(sentence.end);
                    asked.again = asked.again.min(sentence.end);
                }
                let holds = |set: &u16| near.holds(*set, &range) || is_glued && self.has_word(*set);
                if clause.need.is_met(&holds) {
                    match asked.found.and_then(|last| found.get_mut(last)) {
                        Some(last) if last.range.end >= range.start => last.range.end = range.end,
                        _ => {
                            let Some(row) = self.rows.get(usize::from(clause.row)) else { continue };
                            asked.found = Some(found.len());
                            found.push(Candidate { row, range });
                        }
                    }
                }
                near.tell(at, asked);
            }
        }
        for candidate in &mut found {
            candidate.range.start = text.floor_char_boundary(candidate.range.start);
            candidate.range.end = text.ceil_char_boundary(candidate.range.end);
        }
        found
    }

    /// In order; `apart`: places where any row may be anchored.
    fn hits(&self, text: &str, apart: &[usize]) -> Vec<Hit> {
        let mut hits = self.lexicon.hits(text);
        if !apart.is_empty() {
            hits.extend(apart.iter().map(|&at| Hit { at, literal: NO_LITERAL }));
            hits.sort_by_key(|hit| hit.at);
        }
        hits
    }

    fn anchored_by(&self, hit: Hit) -> &[u16] {
        if hit.literal == NO_LITERAL {
            return &self.all;
        }
        self.anchored.get(usize::from(hit.literal)).map(Vec::as_slice).unwrap_or_default()
    }

    fn has_word(&self, set: u16) -> bool {
        self.has_word.get(usize::from(set)).is_some_and(|has_word| *has_word)
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

// === impl Row ===

impl Row {
    pub(super) fn regex(&self) -> Option<&Regex> {
        let build = || {
            // what it would look for first has been found
            let config = Regex::config().auto_prefilter(false).hybrid_cache_capacity(CACHE);
            Regex::builder().configure(config).build(&self.source).ok()
        };
        self.regex.get_or_init(build).as_ref()
    }
}

// === impl Candidate ===

impl Candidate<'_> {
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.row.regex().is_some_and(|regex| regex.is_match(self.input(text)))
    }

    /// Where the matches begin.
    pub(super) fn starts(&self, text: &str) -> impl Iterator<Item = usize> {
        let found = self.row.regex().map(|regex| regex.find_iter(self.input(text)));
        found.into_iter().flatten().map(|found| found.start())
    }

    fn input<'t>(&self, text: &'t str) -> Input<'t> {
        Input::new(text).span(self.range.start..self.range.end.min(text.len()))
    }
}

/// With the sign that ends it.
fn sentence_around(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let start = bytes.get(..at).and_then(|before| memchr::memrchr(b'.', before)).map_or(0, |dot| dot + 1);
    let end = bytes
        .get(at..)
        .and_then(|behind| memchr::memchr(b'.', behind))
        .map_or(text.len(), |dot| at + dot + 1);
    start..end
}

#[cfg(test)]
mod stats {
    use super::*;
    use crate::policies::prompt_injection::{
        normalize,
        patterns::{DELIMITERS, WORDS},
        words::Words,
    };
    #[test]
    fn short() {
        for p in WORDS.iter().filter(|p| ["persona.en.dan", "persona.en.no-longer-assistant"].contains(&p.id)) { for c in Clause::of(0, p.source, Form::Words).unwrap() { println!("SHORT {:?} {:?} {:?}\n", p.id, c.need, c.anchors()); } }
        for text in [
            "You are a helpful assistant.",
            "Which boats cross the lake in winter, and where do I buy the tickets now?",
            "Summarise the following notes in three short paragraphs, keep the tone friendly and avoid technical language, please.",
        ] {
            let plain = normalize::plain(text);
            let words = Words::of(&plain, false);
            let family = Family::build(&WORDS, Form::Words, str::to_owned).unwrap();
            let hits = family.hits(words.between_blanks(), &[]);
            println!(
                "SHORT {text}: hits {} evals {:?}",
                hits.len(),
                hits.iter()
                    .flat_map(|h| family.anchored_by(*h))
                    .map(|c| WORDS[family.clauses[*c as usize].row as usize].id)
                    .collect::<Vec<_>>()
            );
            for c in family.candidates(words.between_blanks(), &words.glued) {
                println!(
                    "SHORT   {:?} {:?}",
                    c.range,
                    WORDS[family.rows.iter().position(|r| std::ptr::eq(r, c.row)).unwrap()].id
                );
            }
        }
    }
    #[test]
    fn stats() {
        let docs = String::from_utf8_lossy(&std::fs::read("/tmp/prose/all.txt").unwrap()).into_owned();
        let bench = std::fs::read_to_string("/work/main/bench/src/engine/bodies.rs").unwrap();
        let from = bench.find("The harbour had").unwrap();
        let english = bench[from..bench.find("const GERMAN").unwrap()].replace("\\\n", "").repeat(16);
        for (name, text) in [("docs", &docs[..docs.floor_char_boundary(4 << 20)]), ("english", &english[..])]
        {
            let per = text.len() as f64 / 32768.0;
            let plain = normalize::plain(text);
            let words = Words::of(&plain, false);
            for (form, patterns, text, glued) in [
                (Form::Words, WORDS.as_slice(), words.between_blanks(), &words.glued),
                (Form::Plain, DELIMITERS, plain.as_str(), &Glued::default()),
            ] {
                let family = Family::build(patterns, form, str::to_owned).unwrap();
                let hits = family.hits(text, glued.apart());
                let evals: usize = hits.iter().map(|h| family.anchored_by(*h).len()).sum();
                let anchors = hits.iter().filter(|h| !family.anchored_by(**h).is_empty()).count();
                let found = family.candidates(text, glued);
                let bytes: usize = found.iter().map(|c| c.range.len()).sum();
                println!(
                    "{name} {form:?}: hits {:.0} anchors {:.0} evals {:.0} candidates {:.1} bytes {:.0}",
                    hits.len() as f64 / per,
                    anchors as f64 / per,
                    evals as f64 / per,
                    found.len() as f64 / per,
                    bytes as f64 / per
                );
                if form == Form::Plain && name == "docs" {
                    let mut all = std::collections::BTreeMap::new();
                    for p in patterns {
                        for c in Clause::of(0, p.source, form).unwrap() {
                            println!("{} {:?}", p.id, c.anchors());
                            for a in c.anchors().unwrap() {
                                all.insert(a.to_owned(), 0);
                            }
                        }
                    }
                    println!("ANCHORS {} literals {}", all.len(), family.anchored.len());
                }
                let mut by = std::collections::BTreeMap::new();
                for c in &found {
                    let at = family.rows.iter().position(|r| std::ptr::eq(r, c.row)).unwrap();
                    *by.entry(patterns[at].id).or_insert(0) += c.range.len();
                }
                let mut by: Vec<_> = by.into_iter().collect();
                by.sort_by_key(|b| std::cmp::Reverse(b.1));
                println!(
                    "   {:?}",
                    by.iter()
                        .take(20)
                        .map(|(id, n)| format!("{id} {:.0}", *n as f64 / per))
                        .collect::<Vec<_>>()
                );
                let mut by = std::collections::BTreeMap::new();
                for h in &hits {
                    for row in family.anchored_by(*h) {
                        *by.entry(patterns[family.clauses[*row as usize].row as usize].id).or_insert(0) += 1;
                    }
                }
                let mut by: Vec<_> = by.into_iter().collect();
                by.sort_by_key(|b| std::cmp::Reverse(b.1));
                println!(
                    "   evals {:?}",
                    by.iter()
                        .take(40)
                        .map(|(id, n)| format!("{id} {:.0}", *n as f64 / per))
                        .collect::<Vec<_>>()
                );
            }
        }
    }
}
