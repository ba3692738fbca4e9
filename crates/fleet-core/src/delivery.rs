//! The control plane's side of one stream: what the agent holds, what is on its way, what comes next.
//! One offer is open at a time; what was refused is not offered again.

use policy_config::ConfigDigest;

use crate::ids::{BootId, Lineage, OfferId};
use crate::offer::Stage;
use crate::standing::Held;
use crate::time::Timestamp;
use crate::version::{DesiredVersion, Generation};

/// An agent keeps the bytes of at least so many of its newest activations, whatever it forgets on a long stream.
const SURELY_STAGED: usize = 5;

/// What a stream knows of its agent.
#[derive(Debug, Clone)]
pub struct Delivery {
    lineage: Lineage,
    /// What the agent runs in this lineage.
    held: Option<Held>,
    /// Digests whose bytes the agent has, the newest first. `None`: what an offer left there is not known.
    staged: Vec<Option<ConfigDigest>>,
    open: Option<OpenOffer>,
    /// The generation that is not offered again on this stream: it was refused or never answered.
    held_back: Option<Generation>,
}

/// An offer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOffer {
    pub id: OfferId,
    pub desired: DesiredVersion,
    /// When silence becomes an answer.
    pub deadline: Timestamp,
}

/// What the hello and the store say about the agent when its stream opens.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The control plane's.
    pub lineage: Lineage,
    /// The agent's; `None`: it never had an offer.
    pub agent_lineage: Option<Lineage>,
    pub active: Option<Held>,
    /// Digests whose bytes the agent has, the newest activation first.
    pub staged: Vec<ConfigDigest>,
    pub boot: BootId,
    pub agent_version: String,
    /// The stored refusal of what the gateway should run now, if there is one.
    pub refusal: Option<StoredRefusal>,
}

/// A refusal as it was stored, with what would make it worth asking again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRefusal {
    pub generation: Generation,
    pub stage: Stage,
    pub boot: BootId,
    pub agent_version: String,
}

/// An offer to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextOffer {
    pub id: OfferId,
    pub desired: DesiredVersion,
    /// The agent lacks the bytes.
    pub with_parcel: bool,
}

/// What an answer means for the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It closes the open offer.
    Closes,
    /// A repeat, or an answer from before this stream: record it and confirm it, nothing else.
    Late,
}

// === impl StoredRefusal ===

impl StoredRefusal {
    /// A refusal of the pack stands until the agent's version changes; one for want of bytes, secrets or room on the
    /// disk only until its process does.
    fn stands(&self, boot: BootId, agent_version: &str) -> bool {
        let of_the_pack = match self.stage {
            Stage::Lint | Stage::Compile | Stage::SelfTest | Stage::Generation => true,
            Stage::Verify | Stage::Secrets | Stage::Storage => false,
        };
        self.agent_version == agent_version && (of_the_pack || self.boot == boot)
    }
}

// === impl Delivery ===

impl Delivery {
    pub fn open(opening: Opening) -> Self {
        let in_lineage = opening.agent_lineage == Some(opening.lineage);
        let held_back = opening
            .refusal
            .filter(|refusal| refusal.stands(opening.boot, &opening.agent_version))
            .map(|refusal| refusal.generation);
        Self {
            lineage: opening.lineage,
            held: opening.active.filter(|_| in_lineage),
            staged: opening.staged.into_iter().map(Some).collect(),
            open: None,
            held_back,
        }
    }

    pub const fn lineage(&self) -> Lineage {
        self.lineage
    }

    pub const fn held(&self) -> Option<Held> {
        self.held
    }

    pub const fn open_offer(&self) -> Option<OpenOffer> {
        self.open
    }

    /// The offer to send now, if the agent is behind `desired`; it is open from here on.
    pub fn next_offer(
        &mut self,
        desired: Option<DesiredVersion>,
        id: OfferId,
        deadline: Timestamp,
    ) -> Option<NextOffer> {
        let desired = desired?;
        let behind = self.held.is_none_or(|held| held.generation < desired.generation);
        if self.open.is_some() || !behind || self.held_back == Some(desired.generation) {
            return None;
        }
        self.open = Some(OpenOffer { id, desired, deadline });
        let with_parcel = !self.staged.contains(&Some(desired.digest));
        // Should it become active, the agent may forget an old pack for it, and nobody may hear of either.
        self.staged.insert(0, None);
        self.staged.truncate(SURELY_STAGED);
        Some(NextOffer { id, desired, with_parcel })
    }

    /// The agent answered; `active` is what it runs afterwards.
    pub fn on_acknowledgement(
        &mut self,
        id: OfferId,
        generation: Generation,
        acked: bool,
        active: Option<Held>,
    ) -> Answer {
        self.on_observed(active);
        let Some(open) = self.open.filter(|open| open.id == id) else { return Answer::Late };
        self.open = None;
        if acked {
            if let Some(newest) = self.staged.first_mut() {
                *newest = Some(open.desired.digest);
            }
        } else {
            self.held_back = Some(generation);
        }
        Answer::Closes
    }

    /// The agent said what it runs. Never moves backwards: a heartbeat may be older than an answer.
    pub fn on_observed(&mut self, active: Option<Held>) {
        if let Some(active) = active
            && self.held.is_none_or(|held| held.generation <= active.generation)
        {
            self.held = Some(active);
        }
    }

    /// What the store says of a refusal, once it can be asked. `presumed` is the generation that was held back on the
    /// agent's word alone: of that, the store knows better.
    pub fn on_stored_refusal(
        &mut self,
        refusal: &StoredRefusal,
        boot: BootId,
        agent_version: &str,
        presumed: Option<Generation>,
    ) {
        if refusal.stands(boot, agent_version) {
            self.held_back = Some(refusal.generation);
        } else if presumed == Some(refusal.generation) && self.held_back == presumed {
            self.held_back = None;
        }
    }

    /// The open offer when its deadline has passed: it is closed and not sent again on this stream.
    pub fn on_silence(&mut self, now: Timestamp) -> Option<OpenOffer> {
        let open = self.open.filter(|open| open.deadline <= now)?;
        self.open = None;
        self.held_back = Some(open.desired.generation);
        Some(open)
    }
}

#[cfg(test)]
mod tests;
