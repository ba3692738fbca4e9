//! Facts that were committed, in order, and what follows from them.

use std::fmt;

use policy_config::ConfigDigest;

use crate::ids::GatewayId;
use crate::time::Timestamp;
use crate::version::{Generation, Revision};

/// A place in the history: the ordinal of an event, from 1, gapless, in commit order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub u64);

/// What kind of fact an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    ConfigPushed,
    RolloutStarted,
    RolloutEnded,
    WaveStarted,
    Activation,
    GatewayEnrolled,
    GatewayLost,
    GatewayReturned,
    Pinned,
    Unpinned,
    Refused,
}

/// An activation as the history tells it: this gateway ran this from `at` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivatedEvent {
    pub cursor: Cursor,
    pub at: Timestamp,
    pub gateway: GatewayId,
    pub revision: Revision,
    pub generation: Generation,
    pub digest: ConfigDigest,
}

/// What a gateway ran at `time`: its newest activation not after it; the later fact wins a tie.
pub fn in_force_at(
    events: &[ActivatedEvent],
    gateway: GatewayId,
    time: Timestamp,
) -> Option<&ActivatedEvent> {
    events
        .iter()
        .filter(|event| event.gateway == gateway && event.at <= time)
        .max_by_key(|event| (event.at, event.cursor))
}

// === impl EventKind ===

impl EventKind {
    pub const ALL: &[Self] = &[
        Self::ConfigPushed,
        Self::RolloutStarted,
        Self::RolloutEnded,
        Self::WaveStarted,
        Self::Activation,
        Self::GatewayEnrolled,
        Self::GatewayLost,
        Self::GatewayReturned,
        Self::Pinned,
        Self::Unpinned,
        Self::Refused,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigPushed => "config_pushed",
            Self::RolloutStarted => "rollout_started",
            Self::RolloutEnded => "rollout_ended",
            Self::WaveStarted => "wave_started",
            Self::Activation => "activation",
            Self::GatewayEnrolled => "gateway_enrolled",
            Self::GatewayLost => "gateway_lost",
            Self::GatewayReturned => "gateway_returned",
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::Refused => "refused",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn event(cursor: u64, at: i64, gateway: u128, revision: u64) -> ActivatedEvent {
        ActivatedEvent {
            cursor: Cursor(cursor),
            at: Timestamp::from_micros(at),
            gateway: GatewayId(Uuid::from_u128(gateway)),
            revision: Revision(revision),
            generation: Generation(cursor),
            digest: ConfigDigest::of(&revision.to_be_bytes()),
        }
    }

    #[test]
    fn the_newest_activation_not_after_the_time() {
        // Event 4 was reported late: it happened before 3 was committed.
        let events = [event(1, 10, 1, 1), event(2, 20, 2, 9), event(3, 40, 1, 3), event(4, 30, 1, 2)];
        let at = |time| {
            in_force_at(&events, GatewayId(Uuid::from_u128(1)), Timestamp::from_micros(time))
                .map(|event| event.revision.0)
        };
        assert_eq!(
            [at(9), at(10), at(29), at(30), at(39), at(99)],
            [None, Some(1), Some(1), Some(2), Some(2), Some(3)]
        );
    }

    #[test]
    fn words_read_back() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_word(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::from_word("frobnicated"), None);
    }
}
