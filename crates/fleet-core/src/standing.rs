//! The agent's side of an offer: what it holds, and its judgement of what comes.

use policy_config::ConfigDigest;

use crate::ids::{BootId, Lineage};
use crate::offer::{Intent, NackReason, Offer, Stage};
use crate::version::Generation;

/// What an agent runs and remembers, durable on its disk and told in its hello.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Whose generations these are; `None` before the first offer.
    pub lineage: Option<Lineage>,
    /// The highest generation ever judged in `lineage`.
    pub highest: Option<Generation>,
    /// What runs.
    pub active: Option<Held>,
    /// What was refused last.
    pub refused: Option<RefusedAttempt>,
    pub pinned: bool,
}

/// A pack that runs, and the assignment it runs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub generation: Generation,
    pub digest: ConfigDigest,
}

/// An offer that was refused, and in which start of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAttempt {
    pub generation: Generation,
    pub digest: ConfigDigest,
    pub boot: BootId,
    pub reason: NackReason,
}

/// What to do with an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Run every stage up to the keep, answer, change nothing.
    Validate,
    /// Run every stage. `forget` says that the lineage is another one than the one held.
    Activate {
        lineage: Lineage,
        generation: Generation,
        forget: bool,
    },
    /// The bytes run already: take the new generation without compiling, then ack.
    Adopt {
        lineage: Lineage,
        generation: Generation,
        forget: bool,
    },
    /// It is active already: ack again.
    AckAgain,
    Refuse(NackReason),
}

/// Why a pinned gateway refuses; a control plane knows the refusal by it, which ends with the pin.
pub const PINNED: &str = "this gateway is pinned by a break-glass change; unpin it first";
/// A control plane counts a gateway's assignments one by one. More than this at once was not counted but made up, and
/// taking it would shut out every honest offer after it: two years of a push a minute.
pub const LONGEST_JUMP: u64 = 1_000_000;
/// The same for a gateway that has seen none: its name may have been another host's for long.
pub const HIGHEST_FIRST: u64 = 1_000_000_000_000;

// === impl Standing ===

impl Standing {
    /// The first row of the table in `architecture.md` §5 that fits.
    pub fn judge(&self, offer: &Offer, boot: BootId) -> Judgement {
        let (lineage, generation) = match offer.intent {
            Intent::Validate => return Judgement::Validate,
            Intent::Activate { lineage, generation } => (lineage, generation),
        };
        let forget = self.lineage.is_some_and(|held| held != lineage);
        let highest = if forget { None } else { self.highest };
        if self.pinned {
            return Judgement::Refuse(generation_refusal(PINNED.to_owned()));
        }
        if let Some(reason) = too_far(highest, generation) {
            return Judgement::Refuse(reason);
        }
        match highest {
            Some(highest) if generation < highest => Judgement::Refuse(generation_refusal(format!(
                "generation {generation} is older than {highest}, which this gateway has seen"
            ))),
            Some(highest) if generation == highest => self.judge_again(offer, lineage, generation, boot),
            Some(_) | None => {
                if self.active.is_some_and(|held| held.digest == offer.digest) {
                    Judgement::Adopt { lineage, generation, forget }
                } else {
                    Judgement::Activate { lineage, generation, forget }
                }
            }
        }
    }

    /// The highest generation again: a repeat, a conflict, or a crash lay between.
    fn judge_again(
        &self,
        offer: &Offer,
        lineage: Lineage,
        generation: Generation,
        boot: BootId,
    ) -> Judgement {
        if let Some(held) = self.active
            && held.generation == generation
        {
            return if held.digest == offer.digest {
                Judgement::AckAgain
            } else {
                Judgement::Refuse(conflict(generation))
            };
        }
        match &self.refused {
            Some(refused) if refused.generation == generation && refused.digest != offer.digest => {
                Judgement::Refuse(conflict(generation))
            }
            Some(refused) if refused.generation == generation && refused.boot == boot => {
                Judgement::Refuse(refused.reason.clone())
            }
            Some(_) | None if self.active.is_some_and(|held| held.digest == offer.digest) => {
                Judgement::Adopt { lineage, generation, forget: false }
            }
            Some(_) | None => Judgement::Activate { lineage, generation, forget: false },
        }
    }
}

/// Why a generation cannot be the next of these; nothing is remembered of it.
fn too_far(highest: Option<Generation>, generation: Generation) -> Option<NackReason> {
    let (far, most) = match highest {
        Some(Generation(highest)) => (generation.0.saturating_sub(highest), LONGEST_JUMP),
        None => (generation.0, HIGHEST_FIRST),
    };
    let from = highest.map_or_else(|| "none".to_owned(), |highest| highest.to_string());
    (far > most).then(|| {
        generation_refusal(format!(
            "generation {generation} is too far ahead: this gateway has seen {from}, and no control plane counts \
             more than {most} at once"
        ))
    })
}

fn generation_refusal(reason: String) -> NackReason {
    NackReason { stage: Stage::Generation, reason, findings: Vec::new() }
}

fn conflict(generation: Generation) -> NackReason {
    generation_refusal(format!(
        "generation {generation} was offered before with other bytes; two control planes may share this gateway"
    ))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
