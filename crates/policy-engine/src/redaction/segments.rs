//! A text as it flows, cut where nothing that may be found lies over the cut: plain text in between, and islands,
//! stretches that shapes cover, each of which is looked at by itself once it is whole.
//!
//! Every decision is a function of the text up to some byte, never of the pieces it came in. So a text that flows
//! is redacted as it is as a whole: both come through here.

use std::collections::VecDeque;
use std::ops::Range;

use super::closure;
use super::shapes::Threads;
use super::{Found, Look};

/// Text that has come and may not be given on.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// What was given on, as far back as a look may reach.
    context: String,
    /// What was not.
    text: String,
    /// Where it begins. All places are bytes from the beginning of the text as it came.
    base: usize,
    /// How far the threads have come.
    read: usize,
    threads: Threads,
    islands: VecDeque<Island>,
}

/// A part of the text as it is given on.
#[derive(Debug)]
pub(super) enum Part<'p, 'l> {
    Kept(&'p str),
    Found { label: &'l str, found: &'p str, marker: String },
}

/// A stretch that is looked at as one.
#[derive(Debug, Clone)]
struct Island {
    place: Range<usize>,
    /// How often a marker was found to be part of something longer.
    grown: usize,
}

enum Outcome<'l> {
    Wait,
    Grown(usize),
    Clean,
    Redacted(Vec<Found<'l>>),
}

/// What is longer than this is not found: the text is read as if it ended there and another began.
pub(super) const LONGEST: usize = 64 * 1024;
/// The other begins so far before that end, so that whatever is no longer than this lies in one of them. No built-in
/// kind is longer.
const OVERLAP: usize = 4 * 1024;
/// Bytes before a match that decide about it.
pub(super) const BEFORE: usize = 64;
/// Bytes behind a match that decide about it: up to two characters.
const AFTER: usize = 2;
/// So often an island grows because of what was put into it.
const MAX_GROWN: usize = 4;
/// So far what was put in is followed.
const MAX_BRIDGE: usize = 1024;
/// What was put into a larger island is not followed: that would cost too much for each byte that comes.
const MAX_FOLLOWED: usize = 4096;

// === impl Segments ===

impl Segments {
    /// Takes more of the text and gives on what is decided; `last`: all of it.
    pub(super) fn take<'l>(
        &mut self,
        look: &'l impl Look,
        text: &str,
        last: bool,
        give: &mut impl FnMut(Part<'_, 'l>),
    ) {
        self.text.push_str(text);
        let mut left = text.len();
        for (offset, byte) in text.bytes().enumerate() {
            left -= 1;
            self.read_byte(look, byte);
            let end = self.read;
            if end - self.base >= LONGEST && text.is_char_boundary(offset + 1) {
                let rest = self.text.split_off(self.text.len() - left);
                self.settle(look, false, give);
                if end - self.base >= LONGEST {
                    self.cut(look, give);
                }
                self.text.push_str(&rest);
            }
        }
        self.settle(look, last, give);
    }

    /// Text that is given on by who knows that nothing is found in it. Nothing may be held.
    pub(super) fn skip(&mut self, text: &str) {
        self.base += text.len();
        self.read = self.base;
        remember(&mut self.context, text);
    }

    /// Everything that has come was given on, and nothing has begun.
    pub(super) fn is_idle(&self) -> bool {
        self.text.is_empty() && self.threads.earliest().is_none()
    }

    pub(super) fn held(&self) -> usize {
        self.text.len()
    }

    fn matched(&mut self, mut place: Range<usize>) {
        let mut grown = 0;
        while let Some(last) = self.islands.pop_back_if(|last| place.start < last.place.end) {
            place = place.start.min(last.place.start)..place.end.max(last.place.end);
            grown = grown.max(last.grown);
        }
        self.islands.push_back(Island { place, grown });
    }

    /// Gives on what nothing that may follow can change. `ended`: nothing follows.
    fn settle<'l>(&mut self, look: &'l impl Look, ended: bool, give: &mut impl FnMut(Part<'_, 'l>)) {
        if ended {
            self.threads.clear();
        }
        let alive = self.threads.earliest().unwrap_or(self.read);
        while let Some(island) = self.islands.front().cloned() {
            if island.place.end > alive && !ended {
                break;
            }
            self.give_to(island.place.start, give);
            let end = self.boundary(island.place.end);
            let sure = island.grown >= MAX_GROWN || end - island.place.start > MAX_FOLLOWED;
            match self.look_at(look, end, ended, sure) {
                Outcome::Wait => break,
                Outcome::Grown(end) => self.grow(end),
                Outcome::Clean => {
                    self.islands.pop_front();
                    self.give_to(end, give);
                }
                Outcome::Redacted(found) => {
                    self.islands.pop_front();
                    self.give_found(end, found, give);
                }
            }
        }
        let open = self.islands.front().map_or(alive, |island| island.place.start.min(alive));
        self.give_to(open, give);
    }

    /// Ends what is too long, and begins another text before its end.
    fn cut<'l>(&mut self, look: &'l impl Look, give: &mut impl FnMut(Part<'_, 'l>)) {
        let end = self.read;
        let mut next = self.base + self.text.floor_char_boundary(end - self.base - OVERLAP);
        while let Some(island) = self.islands.pop_front().filter(|island| island.place.start < next) {
            self.give_to(island.place.start, give);
            let island_end = self.boundary(island.place.end);
            match self.look_at(look, island_end, true, true) {
                Outcome::Redacted(mut found) => {
                    let begin = self.base;
                    found.retain(|one| begin + one.range.start < next);
                    let found_to = found.last().map_or(begin, |last| begin + last.range.end);
                    next = next.max(found_to);
                    self.give_found(island_end.min(next), found, give);
                }
                _ => self.give_to(island_end.min(next), give),
            }
        }
        self.give_to(next, give);
        self.islands.clear();
        self.threads.clear();
        self.read = self.base;
        for byte in self.text.clone().bytes() {
            self.read_byte(look, byte);
        }
    }

    fn read_byte(&mut self, look: &impl Look, byte: u8) {
        let end = self.read + 1;
        if let Some(start) = self.threads.read(look.shapes(), byte, self.read, true) {
            self.matched(start..end + AFTER);
        }
        self.read = end;
    }

    /// Looks at the text up to `end` as one. `sure`: whatever comes of it is not looked at again.
    fn look_at<'l>(&self, look: &'l impl Look, end: usize, ended: bool, sure: bool) -> Outcome<'l> {
        let (island, behind) = self.text.split_at_checked(end - self.base).unwrap_or((&self.text, ""));
        let mut window = String::with_capacity(self.context.len() + island.len());
        let mut matches = |text: &str| {
            window.clear();
            window.push_str(&self.context);
            window.push_str(text);
            let from = self.context.len();
            let found = look.matches(&window, from).into_iter();
            found.map(|(label, range)| (label, range.start - from..range.end - from)).collect::<Vec<_>>()
        };
        let first = matches(island);
        if first.is_empty() {
            return Outcome::Clean;
        }
        let found = closure::close(island, first, matches, look);
        match bridged(look, island, &found, behind) {
            Bridge::Joined(more) if !sure => Outcome::Grown(end + more),
            Bridge::Open if !sure && !ended => Outcome::Wait,
            _ => Outcome::Redacted(found),
        }
    }

    /// The first island reaches up to `end`, and so takes in those that it meets.
    fn grow(&mut self, end: usize) {
        let Some(mut grown) = self.islands.pop_front() else { return };
        grown.place.end = grown.place.end.max(end);
        grown.grown += 1;
        while let Some(next) = self.islands.pop_front() {
            if next.place.start >= grown.place.end {
                self.islands.push_front(next);
                break;
            }
            grown.place.end = grown.place.end.max(next.place.end);
        }
        self.islands.push_front(grown);
    }

    /// The first end of a character at or behind a place.
    fn boundary(&self, place: usize) -> usize {
        let mut offset = (place - self.base).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset += 1;
        }
        self.base + offset
    }

    fn give_to<'l>(&mut self, place: usize, give: &mut impl FnMut(Part<'_, 'l>)) {
        let length = self.text.floor_char_boundary(place.saturating_sub(self.base));
        if length > 0 {
            let kept = self.text.get(..length).unwrap_or_default();
            give(Part::Kept(kept));
            remember(&mut self.context, kept);
            self.text.drain(..length);
            self.base += length;
        }
    }

    fn give_found<'l>(&mut self, end: usize, found: Vec<Found<'l>>, give: &mut impl FnMut(Part<'_, 'l>)) {
        let begin = self.base;
        for Found { label, range, replacement } in found {
            self.give_to(begin + range.start, give);
            let found = self.text.get(..range.len()).unwrap_or_default();
            remember(&mut self.context, &replacement);
            give(Part::Found { label, found, marker: replacement });
            self.text.drain(..range.len());
            self.base += range.len();
        }
        self.give_to(end, give);
    }
}

/// Whether what was put into an island makes something new together with the text behind it.
enum Bridge {
    Apart,
    /// That text will tell.
    Open,
    /// It does, with so many bytes of it.
    Joined(usize),
}

fn bridged(look: &impl Look, island: &str, found: &[Found<'_>], behind: &str) -> Bridge {
    let mut threads = Threads::default();
    let mut redacted = 0;
    let mut kept_to = 0;
    let mut begin = |text: &str| {
        for byte in text.bytes() {
            let _ = threads.read(look.shapes(), byte, redacted, true);
            redacted += 1;
        }
    };
    for one in found {
        begin(island.get(kept_to..one.range.start).unwrap_or_default());
        begin(&one.replacement);
        kept_to = one.range.end;
    }
    begin(island.get(kept_to..).unwrap_or_default());
    for (offset, byte) in behind.bytes().take(MAX_BRIDGE).enumerate() {
        if threads.earliest().is_none() {
            return Bridge::Apart;
        }
        if threads.read(look.shapes(), byte, redacted + offset, false).is_some() {
            return Bridge::Joined(offset + 1 + AFTER);
        }
    }
    if threads.earliest().is_none() || behind.len() >= MAX_BRIDGE { Bridge::Apart } else { Bridge::Open }
}

/// Adds to a context what comes after it, and keeps of it what counts.
fn remember(context: &mut String, text: &str) {
    if text.len() >= BEFORE {
        context.clear();
        context.push_str(text.get(text.floor_char_boundary(text.len() - BEFORE)..).unwrap_or_default());
        return;
    }
    context.push_str(text);
    let outdated = context.floor_char_boundary(context.len().saturating_sub(BEFORE));
    context.drain(..outdated);
}
