//! How much of the processor the policies may use for one body. Small bodies are never timed: nothing that reads
//! them takes long, and asking the kernel would cost more than they do.

use std::cell::Cell;
use std::time::Duration;

use crate::policies::CannotJudge;
use crate::surroundings::Surroundings;

/// One body's share, from the moment it is made.
pub(crate) struct Budget<'a> {
    around: &'a dyn Surroundings,
    limit: Duration,
    /// By the parts before this one.
    spent: Duration,
    /// `None`: never asked.
    begun: Option<Duration>,
    /// Bytes looked at since the clock was.
    unseen: Cell<usize>,
}

/// The reason under which a body over its budget is recorded.
pub(crate) const EXCEEDED: &str = "policy.budget_exceeded";

/// Bodies up to this size are not timed.
const SMALL: usize = 32 * 1024;
/// Nor parts of a stream of this size, with what is held of their text.
const SMALL_PART: usize = 1024;
/// The clock is asked once for so many bytes of text; a text counts for a little more than it has.
const STRIDE: usize = 64 * 1024;
const TEXT_COST: usize = 64;

// === impl Budget ===

impl<'a> Budget<'a> {
    /// For a body of `size` bytes.
    pub(crate) fn new(around: &'a dyn Surroundings, limit: Duration, size: usize) -> Self {
        Self::begin(around, limit, Duration::ZERO, size > SMALL)
    }

    /// For another part of a stream, on whatever thread: `size` with what is held of its text, and what the parts
    /// before it have used.
    pub(crate) fn of_part(
        around: &'a dyn Surroundings,
        limit: Duration,
        spent: Duration,
        size: usize,
    ) -> Self {
        Self::begin(around, limit, spent, size > SMALL_PART)
    }

    fn begin(around: &'a dyn Surroundings, limit: Duration, spent: Duration, is_timed: bool) -> Self {
        Self { around, limit, spent, begun: is_timed.then(|| around.cpu()), unseen: Cell::new(0) }
    }

    /// By this part and those before it.
    pub(crate) fn spent(&self) -> Duration {
        let here = self.begun.map(|begun| self.around.cpu().saturating_sub(begun));
        self.spent + here.unwrap_or_default()
    }

    /// Before another text of so many bytes is looked at.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), CannotJudge> {
        let unseen = self.unseen.get().saturating_add(bytes).saturating_add(TEXT_COST);
        self.unseen.set(unseen);
        if unseen < STRIDE { Ok(()) } else { self.check() }
    }

    /// Whether anything is left.
    pub(crate) fn check(&self) -> Result<(), CannotJudge> {
        self.unseen.set(0);
        match self.begun {
            Some(_) if self.spent() > self.limit => Err(CannotJudge {
                reason_code: EXCEEDED,
                message: "Blocked: the policies may not spend as much work on one body as this one takes"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
