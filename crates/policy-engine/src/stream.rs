//! The output phase over a stream of events: text goes on as it flows, and of it is held only what a policy cannot
//! decide about yet. What is held leaves before the event that ends its text.
//!
//! What leaves does not depend on how the bytes came in. Line ends become `\n`; an event that held nothing but text
//! that is held now is gone, every other event passes in order.

mod events;
mod fields;
mod flowing;
mod key;

use std::sync::Arc;

use bytes::Bytes;

use self::events::{Event, EventReader};
use self::fields::{Fields, How, Piece, share_lane};
use self::flowing::{Flowing, Stopped};
use self::key::{Head, Key};
use crate::chain::Chain;
use crate::endpoint::Endpoint;
use crate::error_event::error_event;
use crate::json::{Document, Span};
use crate::surroundings::Surroundings;
use crate::text::{self, Phase, Texts};
use crate::usage::UsageReader;
use crate::verdict::{BlockReason, Inspection};

/// Text and unfinished events together; a stream that holds more is ended with an error.
const MAX_HELD: usize = 16 << 20;
/// Texts that one event may go on with.
const MAX_PIECES: usize = 4096;

/// The output phase over one server-sent event stream.
pub struct StreamInspector {
    endpoint: Endpoint,
    chain: Arc<Chain>,
    around: Arc<dyn Surroundings>,
    effect: Effect,
    events: EventReader,
    flowing: Flowing,
    head: Head,
    /// Of `responses`: the number of the next event, and how many were put in before it.
    numbers: (u64, u64),
    usage: UsageReader,
    inspection: Inspection,
    ended: bool,
}

/// What the chain may do to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nobody reads it.
    Pass,
    /// Only shadowed policies read it: it passes as it is.
    Watch,
    /// Its text may be changed.
    Guard,
}

// === impl StreamInspector ===

impl StreamInspector {
    pub(crate) fn new(endpoint: Endpoint, chain: Arc<Chain>, around: Arc<dyn Surroundings>) -> Self {
        let effect = match (chain.reads_output(), chain.guards_output()) {
            (false, _) => Effect::Pass,
            (true, false) => Effect::Watch,
            (true, true) => Effect::Guard,
        };
        Self {
            endpoint,
            effect,
            events: EventReader::default(),
            flowing: Flowing::default(),
            head: Head::default(),
            numbers: (0, 0),
            usage: UsageReader::default(),
            inspection: chain.begin_output(),
            ended: false,
            chain,
            around,
        }
    }

    /// Takes bytes as they come from the provider and gives those to send on now; none after the end.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        match self.effect {
            Effect::Pass => {
                self.usage.pass(&bytes);
                bytes
            }
            Effect::Watch => {
                self.usage.pass(&bytes);
                self.read(&bytes, &mut Vec::new());
                bytes
            }
            Effect::Guard => {
                let mut out = Vec::with_capacity(bytes.len());
                let left = self.read(&bytes, &mut out);
                // what comes behind the end of a stream is none of it
                self.usage.pass(bytes.get(..bytes.len() - left).unwrap_or_default());
                Bytes::from(out)
            }
        }
    }

    /// True once an error event was sent: nothing more will be, and the provider may be hung up on.
    pub fn is_ended(&self) -> bool {
        self.ended && self.effect == Effect::Guard
    }

    /// The provider's stream ended: what is left to send, and what was decided over the whole stream.
    pub fn finish(mut self) -> (Bytes, Inspection) {
        let mut out = Vec::new();
        if self.effect != Effect::Pass {
            // an event without its blank line was cut off; if it reads whole all the same, it counts
            if let Some(event) = self.events.finish().filter(|event| !self.ended && event.is_readable()) {
                let _ = self.take(event, &mut out);
            }
            if !self.ended {
                let _ = self.release(&|_| true, &mut out);
            }
        }
        self.inspection.usage = self.usage.usage();
        (if self.effect == Effect::Guard { Bytes::from(out) } else { Bytes::new() }, self.inspection)
    }

    /// Of a stream that did not come to its end: what was decided, and what the provider told of its costs, so far.
    pub fn abandon(mut self) -> Inspection {
        self.inspection.usage = self.usage.usage();
        self.inspection
    }

    /// Bytes that the next ones may lead to be looked at once more.
    pub fn held(&self) -> usize {
        self.flowing.text_held() + self.events.bytes()
    }

    /// Of a `responses` stream: the number that its next event has, as far as its events were read.
    pub fn next_number(&self) -> u64 {
        self.numbers.0
    }

    /// Gives the number of bytes that stand behind the end.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut rest = bytes;
        while !self.ended && !rest.is_empty() {
            let (event, after) = self.events.read(rest);
            rest = after;
            if let Some(event) = event {
                let _ = self.take(event, out);
            }
            if !self.ended && self.flowing.held() + self.events.bytes() > MAX_HELD {
                let _ = self.stop_too_long::<()>(out);
            }
        }
        rest.len()
    }

    fn take(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), Stopped> {
        let Some(event) = event.bare() else {
            return self.stop("the provider's stream has a line that is no data of an event", out);
        };
        let Some(data) = event.data() else {
            event.write(out);
            return Ok(());
        };
        if data.trim_ascii() == b"[DONE]" {
            self.release(&|_| true, out)?;
            event.write(out);
            return Ok(());
        }
        let document = match Document::parse(&data) {
            Ok(document) => document,
            Err(error) => {
                let why = error.unquoted();
                return self.stop(&format!("an event of the provider could not be inspected: {why}"), out);
            }
        };
        let fields = Fields::read(self.endpoint, &document);
        if fields.is_misplaced {
            return self.stop("an event of the provider has a place that is no whole number", out);
        }
        if fields.pieces.len() > MAX_PIECES {
            let message = format!("an event of the provider has more than {MAX_PIECES} texts");
            return self.stop(&message, out);
        }
        let last_pieces = fields.last_pieces();
        let ends = |key: &Key| fields.ends.end(key) && !last_pieces.contains_key(key);
        // several calls in one place, one after the other, told apart by their ids alone
        let other_id = |id: &&Piece| self.flowing.had_another(&id.key, document.string(id.span).text());
        let begun: Vec<&Key> = fields.call_ids().filter(other_id).map(|id| &id.key).collect();
        let begins = |key: &Key| begun.iter().any(|id| share_lane(id, key));
        self.release(&|key| ends(key) || fields.leaves(key) || begins(key), out)?;
        if !begun.is_empty() {
            self.flowing.forget_all(begins);
        }
        if !fields.pieces.is_empty() {
            self.head.read(&document);
        }
        let mut texts = Vec::with_capacity(fields.pieces.len());
        for (at, piece) in fields.pieces.iter().enumerate() {
            let ends = fields.ends.end(&piece.key);
            let last = ends && (piece.how != How::Flows || last_pieces.get(&piece.key) == Some(&at));
            texts.push(self.flow(piece, document.string(piece.span).text(), last, out)?);
        }
        let is_gone = fields.is_text_only
            && texts.iter().all(String::is_empty)
            && fields.pieces.iter().any(|piece| piece.span.end - piece.span.start > 2);
        let number = self.number(&document);
        let others = self.judge_others(&document, &fields, out)?;
        if is_gone {
            return Ok(());
        }
        match others {
            // rare: strings beside the texts were redacted, and so all lies elsewhere
            Some(body) => {
                let document = Document::parse_owned(body).map_err(|error| error.unquoted());
                let read = document.map(|document| (Fields::read(self.endpoint, &document), document));
                let Some((fields, document)) =
                    read.ok().filter(|(fields, _)| fields.pieces.len() == texts.len())
                else {
                    return self.stop("an event of the provider could not be read back", out);
                };
                let number = self.number(&document);
                let changes = fields.changes(&document, &texts, number);
                event.write_with(&text::splice(document.source(), changes), out);
            }
            None => match fields.changes(&document, &texts, number) {
                none if none.is_empty() => event.write(out),
                changes => event.write_with(&text::splice(document.source(), changes), out),
            },
        }
        Ok(())
    }

    /// Goes on with one text of an event. Gives what may be sent of it.
    fn flow(&mut self, piece: &Piece, text: &str, last: bool, out: &mut Vec<u8>) -> Result<String, Stopped> {
        if text.is_empty() && !last && matches!(piece.how, How::Flows) {
            return Ok(String::new());
        }
        let (key, inspection) = (&piece.key, &mut self.inspection);
        let (chain, around) = (self.chain.as_ref(), self.around.as_ref());
        let budget = self.flowing.budget(key, text, chain, around);
        let judges = (chain, around, &budget);
        let given = match piece.how {
            How::Flows => self.flowing.take(key, text, last, judges, inspection),
            How::Whole => self.flowing.take_whole(key, text, false, judges, inspection),
            How::Named => self.flowing.take_whole(key, text, true, judges, inspection),
            How::Grows => self.flowing.so_far(text, last, judges, inspection),
        };
        self.flowing.spends(budget.spent());
        let given = self.or_end(given, out)?;
        if self.flowing.held() > MAX_HELD { self.stop_too_long(out) } else { Ok(given) }
    }

    /// Judges what an event holds beside its flowing texts, if it holds some. `Some`: it is to be this.
    fn judge_others(
        &mut self,
        document: &Document<'_>,
        fields: &Fields,
        out: &mut Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Stopped> {
        let texts = Texts::at(self.endpoint, Phase::Output, document);
        let mut others = texts.pieces().iter().filter(|piece| !piece.text().is_empty());
        if others.all(|piece| fields.has_piece_at(piece.place())) {
            return Ok(None);
        }
        let emptied = fields.pieces.iter().map(|piece| (piece.span, "\"\"".to_owned())).collect();
        let emptied = text::splice(document.source(), emptied);
        let mut judged = self.chain.inspect_output(self.endpoint, &emptied, self.around.as_ref());
        let body = judged.body.take();
        let is_blocked = judged.block.is_some();
        self.inspection.add(judged);
        let left = if is_blocked { Err(Stopped::Judged) } else { Ok(body) };
        self.or_end(left, out)
    }

    /// Sends what is held of the texts that end, each in an event of its own.
    fn release(&mut self, ends: &dyn Fn(&Key) -> bool, out: &mut Vec<u8>) -> Result<(), Stopped> {
        let ended: Vec<Key> = self.flowing.keys().filter(|key| ends(key)).cloned().collect();
        for key in ended {
            let (chain, around) = (self.chain.as_ref(), self.around.as_ref());
            let budget = self.flowing.budget(&key, "", chain, around);
            let given = self.flowing.take(&key, "", true, (chain, around, &budget), &mut self.inspection);
            self.flowing.spends(budget.spent());
            let text = self.or_end(given, out)?;
            if !text.is_empty() {
                key.event(self.endpoint, &self.head, &text, self.numbers.0).write(out);
                self.numbers = (self.numbers.0 + 1, self.numbers.1 + 1);
            }
        }
        Ok(())
    }

    /// The number that an event of `responses` is to have, and where it stands, if it is another than it had.
    fn number(&mut self, document: &Document<'_>) -> Option<(Span, u64)> {
        if self.endpoint != Endpoint::Responses {
            return None;
        }
        let value = document.member(document.root(), "sequence_number")?;
        let number = document.raw(value.span).parse::<u64>().ok()?.saturating_add(self.numbers.1);
        self.numbers.0 = number.saturating_add(1);
        (self.numbers.1 > 0).then_some((value.span, number))
    }

    /// Ends the stream if it was stopped.
    fn or_end<T>(&mut self, given: Result<T, Stopped>, out: &mut Vec<u8>) -> Result<T, Stopped> {
        match given {
            Err(Stopped::Judged) => {
                let block = self.inspection.block.clone();
                self.end(block.as_ref(), out);
                Err(Stopped::Told)
            }
            Err(Stopped::Sent) => {
                self.stop("a text of the provider goes on behind its end, in the middle of a match", out)
            }
            given => given,
        }
    }

    /// Ends a stream that cannot be inspected.
    fn stop<T>(&mut self, message: &str, out: &mut Vec<u8>) -> Result<T, Stopped> {
        let inspection = self.chain.unreadable(message);
        let block = inspection.block.clone();
        self.inspection.add(inspection);
        self.end(block.as_ref(), out);
        Err(Stopped::Told)
    }

    fn stop_too_long<T>(&mut self, out: &mut Vec<u8>) -> Result<T, Stopped> {
        let limit = MAX_HELD >> 20;
        self.stop(&format!("the provider's answer is longer than the {limit} MiB that can be inspected"), out)
    }

    fn end(&mut self, block: Option<&BlockReason>, out: &mut Vec<u8>) {
        self.ended = true;
        self.flowing = Flowing::default();
        if let Some(block) = block {
            let policy = Some(block.policy.as_str());
            let (kind, number) = (block.class.error_type(), self.numbers.0);
            out.extend(error_event(self.endpoint, kind, block.code, &block.message, policy, number));
        }
    }
}

// === impl Inspection ===

impl Inspection {
    /// Adds what was decided about a later part of the same answer.
    fn add(&mut self, part: Inspection) {
        self.verdict = self.verdict.max(part.verdict);
        self.block = self.block.take().or(part.block);
        for (at, record) in part.policies.into_iter().enumerate() {
            match self.policies.get_mut(at) {
                Some(sum) => {
                    sum.verdict = sum.verdict.max(record.verdict);
                    sum.redactions = sum.redactions.saturating_add(record.redactions);
                    let news =
                        record.reason_codes.into_iter().filter(|code| !sum.reason_codes.contains(code));
                    let news: Vec<_> = news.collect();
                    sum.reason_codes.extend(news);
                }
                None => self.policies.push(record),
            }
        }
    }
}

#[cfg(test)]
mod tests;
