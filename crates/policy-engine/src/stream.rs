//! The output phase over a stream of `chat.completion.chunk` events: the text of a choice is held
//! until the choice is whole, judged as one, and sent on in one chunk before the chunk that ends it.
//!
//! What leaves does not depend on how the bytes came in. Line ends become `\n`; an event that held
//! nothing but text is gone, every other event passes in order.

mod events;
mod held;

use std::sync::Arc;

use self::events::{Event, EventReader};
use self::held::Held;
use crate::chain::Chain;
use crate::json::{Document, encode};
use crate::surroundings::Surroundings;
use crate::text;
use crate::verdict::{BlockReason, Inspection};

/// Text and unfinished events together; a stream that holds more is ended with an error.
const MAX_HELD: usize = 16 << 20;

/// The output phase over one server-sent event stream.
pub struct StreamInspector {
    chain: Arc<Chain>,
    around: Arc<dyn Surroundings>,
    effect: Effect,
    events: EventReader,
    held: Held,
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
    /// Its text is held and may be changed.
    Guard,
}

// === impl StreamInspector ===

impl StreamInspector {
    pub(crate) fn new(chain: Arc<Chain>, around: Arc<dyn Surroundings>) -> Self {
        let effect = match (chain.reads_output(), chain.guards_output()) {
            (false, _) => Effect::Pass,
            (true, false) => Effect::Watch,
            (true, true) => Effect::Guard,
        };
        Self {
            chain,
            around,
            effect,
            events: EventReader::default(),
            held: Held::default(),
            inspection: Inspection::default(),
            ended: false,
        }
    }

    /// Takes bytes as they come from the provider and gives those to send on now; none after the end.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if self.effect != Effect::Pass {
            self.read(bytes, &mut out);
        }
        if self.effect == Effect::Guard { out } else { bytes.to_vec() }
    }

    /// True once an error event was sent: nothing more will be, and the provider may be hung up on.
    pub fn is_ended(&self) -> bool {
        self.ended && self.effect == Effect::Guard
    }

    /// The provider's stream ended: what is left to send, and what was decided over the whole stream.
    pub fn finish(mut self) -> (Vec<u8>, Inspection) {
        if self.effect == Effect::Pass {
            return (Vec::new(), self.chain.pass_output());
        }
        let mut out = Vec::new();
        // an event without its blank line was cut off; if it reads whole all the same, it counts
        if let Some(event) = self.events.finish().filter(|event| !self.ended && event.is_readable()) {
            self.take(&event, &mut out);
        }
        self.release_all(&mut out);
        if self.inspection.policies.is_empty() {
            self.inspection = self.chain.inspect_output(b"{}", self.around.as_ref());
        }
        (if self.effect == Effect::Guard { out } else { Vec::new() }, self.inspection)
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while !self.ended && !rest.is_empty() {
            let (event, after) = self.events.read(rest);
            rest = after;
            if let Some(event) = event {
                self.take(&event, out);
            }
            if self.held.bytes() + self.events.bytes() > MAX_HELD {
                let limit = MAX_HELD >> 20;
                self.stop(
                    &format!("the provider's answer is longer than the {limit} MiB that can be inspected"),
                    out,
                );
            }
        }
    }

    fn take(&mut self, event: &Event, out: &mut Vec<u8>) {
        let Some(data) = event.data() else { return event.write(out) };
        if data.trim_ascii() == b"[DONE]" {
            self.release_all(out);
            if !self.ended {
                event.write(out);
            }
            return;
        }
        let document = match Document::parse(&data) {
            Ok(document) => document,
            Err(error) => {
                let why = error.unquoted();
                return self.stop(&format!("an event of the provider could not be inspected: {why}"), out);
            }
        };
        let taken = self.held.take(&document);
        for choice in &taken.finished {
            self.release(*choice, out);
        }
        if self.ended || !taken.carries_more {
            return;
        }
        let rest = text::splice(document.source(), taken.emptied);
        if let Some(rest) = self.judge(rest, out) {
            event.write_with(&rest, out);
        }
    }

    fn release_all(&mut self, out: &mut Vec<u8>) {
        for choice in self.held.choices() {
            self.release(choice, out);
        }
    }

    /// Sends the text of a choice on, one chunk for each field that has some.
    fn release(&mut self, choice: u64, out: &mut Vec<u8>) {
        for chunk in self.held.release(choice) {
            if self.ended {
                return;
            }
            if let Some(chunk) = self.judge(chunk.into_bytes(), out) {
                Event::of_data(&chunk).write(out);
            }
        }
    }

    /// The chunk as it may be sent, or the end of the stream.
    fn judge(&mut self, chunk: Vec<u8>, out: &mut Vec<u8>) -> Option<Vec<u8>> {
        let mut inspection = self.chain.inspect_output(&chunk, self.around.as_ref());
        let body = inspection.body.take();
        let block = inspection.block.clone();
        self.inspection.add(inspection);
        match block {
            Some(block) => {
                self.end(&block, out);
                None
            }
            None => Some(body.unwrap_or(chunk)),
        }
    }

    /// Ends a stream that cannot be inspected.
    fn stop(&mut self, message: &str, out: &mut Vec<u8>) {
        let inspection = self.chain.unreadable(message);
        let block = inspection.block.clone();
        self.inspection.add(inspection);
        self.ended = true;
        if let Some(block) = block {
            self.end(&block, out);
        }
    }

    fn end(&mut self, block: &BlockReason, out: &mut Vec<u8>) {
        self.ended = true;
        self.held = Held::default();
        let error = format!(
            r#"{{"error":{{"type":"policy_violation","message":"{}","policy":"{}","code":"{}"}}}}"#,
            encode(&block.message),
            block.policy,
            block.code,
        );
        Event::of_data(error.as_bytes()).write(out);
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
