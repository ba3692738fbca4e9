//! One text of a stream, redacted or blocked as it flows.

use std::sync::Arc;

use super::embedded;
use super::json_prefix::JsonPrefix;
use super::segments::{Part, Segments};
use super::{Found, Look, SLICE};
use crate::budget::Budget;
use crate::policies::{CannotJudge, Decision, Flow, Flowed};

/// What a policy does with what it finds.
#[derive(Clone)]
pub(crate) enum Finding {
    /// Puts the marker there, and gives the reason code of the label.
    Replace(fn(&str) -> &'static str),
    /// Decides so by the label.
    Stop(Arc<dyn Fn(&str) -> Decision + Send + Sync>),
}

/// A text under one policy.
pub(crate) struct LookFlow<L> {
    look: Arc<L>,
    finding: Finding,
    /// While the text may be JSON, all of it is held: what is found in JSON is known only when it is whole.
    json: Option<JsonPrefix>,
    whole: String,
    segments: Segments,
}

// === impl LookFlow ===

impl<L: Look + 'static> LookFlow<L> {
    pub(crate) fn new(look: Arc<L>, finding: Finding) -> Self {
        let json = Some(JsonPrefix::default());
        Self { look, finding, json, whole: String::new(), segments: Segments::default() }
    }

    fn take_plain(
        &mut self,
        text: &str,
        last: bool,
        budget: &Budget<'_>,
        out: &mut Flowed,
    ) -> Result<(), CannotJudge> {
        let Self { look, finding, segments, .. } = self;
        let mut rest = text;
        loop {
            let (slice, after) =
                rest.split_at_checked(rest.ceil_char_boundary(SLICE.min(rest.len()))).unwrap_or((rest, ""));
            budget.spend(slice.len())?;
            segments.take(look.as_ref(), slice, last && after.is_empty(), &mut |part| match part {
                _ if out.stopped.is_some() => {}
                Part::Kept(kept) => out.text.push_str(kept),
                Part::Found { label, marker, .. } => finding.found(label, &marker, out),
            });
            if after.is_empty() || out.stopped.is_some() {
                return Ok(());
            }
            rest = after;
        }
    }

    fn take_whole(&mut self, budget: &Budget<'_>, out: &mut Flowed) -> Result<(), CannotJudge> {
        let text = std::mem::take(&mut self.whole);
        let mut kept_to = 0;
        for Found { label, range, replacement } in embedded::scan(self.look.as_ref(), &text, budget)? {
            out.text.push_str(text.get(kept_to..range.start).unwrap_or_default());
            self.finding.found(label, &replacement, out);
            if out.stopped.is_some() {
                return Ok(());
            }
            kept_to = range.end;
        }
        out.text.push_str(text.get(kept_to..).unwrap_or_default());
        Ok(())
    }
}

impl<L: Look + 'static> Flow for LookFlow<L> {
    fn take(
        &mut self,
        text: &str,
        last: bool,
        budget: &Budget<'_>,
        out: &mut Flowed,
    ) -> Result<(), CannotJudge> {
        let Some(json) = &mut self.json else { return self.take_plain(text, last, budget, out) };
        if !json.read(text) || (last && json.has_not_begun()) {
            self.json = None;
            let held = std::mem::take(&mut self.whole);
            if !held.is_empty() {
                self.take_plain(&held, false, budget, out)?;
            }
            return match out.stopped {
                None => self.take_plain(text, last, budget, out),
                Some(_) => Ok(()),
            };
        }
        self.whole.push_str(text);
        if last { self.take_whole(budget, out) } else { Ok(()) }
    }

    fn held(&self) -> usize {
        self.whole.len() + self.segments.held()
    }
}

// === impl Finding ===

impl Finding {
    fn found(&self, label: &str, marker: &str, out: &mut Flowed) {
        match self {
            Self::Replace(reason_of) => {
                out.text.push_str(marker);
                out.redactions = out.redactions.saturating_add(1);
                out.reason(reason_of(label));
            }
            Self::Stop(decide) => out.stopped = Some(decide(label)),
        }
    }
}
