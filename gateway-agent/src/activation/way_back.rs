//! Where a revert leads: a decision over the record, and nothing else.

use policy_config::location::Location;
use policy_config::schema::PackVersion;
use policy_config::{ConfigDigest, Finding, Severity};

use super::record::{KeptPack, Moment, Record, Why};

/// The code of the warning of [`last_resort`].
const LAST_RESORT: &str = "H002";

/// What a revert does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WayBack {
    /// What should run does not: it is given up, and what runs is what should. Nothing is swapped.
    GiveUp { digest: ConfigDigest, version: Option<PackVersion> },
    /// To the newest good pack below the one that runs; where none is left, to one of this host's that ended its
    /// gateway once and was not withdrawn for it: an operator who asks for it may have killed the gateway.
    To(ConfigDigest),
    /// No such pack is left.
    Nowhere,
}

// === impl Record ===

impl Record {
    /// What should run and does not is withdrawn; what runs is what should.
    pub(super) fn give_up(&mut self, digest: ConfigDigest, version: Option<PackVersion>, now: Moment) {
        self.withdraw(digest, version, Why::Reverted);
        self.wants_what_runs(now);
    }
}

// === impl WayBack ===

impl WayBack {
    /// Each revert withdraws what it leaves, so that as many reverts as there are packs come to an end.
    pub(super) fn of(record: &Record) -> Self {
        if let Some(desired) = &record.desired
            && record.active != Some(desired.digest)
        {
            return Self::GiveUp { digest: desired.digest, version: desired.version.clone() };
        }
        let above = record.kept.iter().take_while(|pack| Some(pack.digest) != record.active).count();
        // Where nothing runs there is nothing to be below of.
        let below = if record.active.is_some() { above + 1 } else { 0 };
        let below = || record.kept.iter().skip(below).filter(|pack| !record.is_withdrawn(pack.digest));
        let target = below().find(|pack| pack.is_good()).or_else(|| below().find(|pack| pack.is_local()));
        target.map_or(Self::Nowhere, |pack| Self::To(pack.digest))
    }
}

/// Said of a revert that found no good pack.
pub(super) fn last_resort(pack: &KeptPack) -> Finding {
    Finding {
        code: LAST_RESORT.to_owned(),
        severity: Severity::Warning,
        path: String::new(),
        location: Location { line: 0, column: 0 },
        message: format!(
            "no good pack is left below the one that ran; {} ({}) runs, which ended its gateway once before it had \
             proved itself",
            pack.version, pack.digest
        ),
        suggestion:
            "if the gateway was killed by somebody, all is well; else load a pack that is known to run"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests;
