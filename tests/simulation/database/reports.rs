//! What streams tell the database: offers sent, answers, what runs, who is there, and silence.

use std::time::Duration;

use fleet_core::activation::{ActivationEvent, ActivationState, transition};
use fleet_core::ids::{BootId, GatewayId, Lineage, OfferId};
use fleet_core::liveness::STALE_FOR;
use fleet_core::offer::Acknowledgement;
use fleet_core::time::Timestamp;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;

use super::{ActivationKey, Database};
use crate::messages::Running;

/// An offer that was put on a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) gateway: GatewayId,
    pub(crate) generation: Generation,
}

/// What an agent said on a stream.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) gateway: GatewayId,
    pub(crate) boot: BootId,
    pub(crate) counter: u64,
    pub(crate) lineage: Lineage,
    pub(crate) answered: Option<Answered>,
    pub(crate) running: Option<Running>,
}

#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) offer: OfferId,
    pub(crate) generation: Generation,
    pub(crate) digest: ConfigDigest,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) ago: Duration,
}

/// When a gateway was last heard of on a stream, and whether that still lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presence {
    pub(crate) boot: BootId,
    pub(crate) counter: u64,
    pub(crate) at: Timestamp,
    pub(crate) attached: bool,
}

pub(crate) const OFFER_DEADLINE: Duration = Duration::from_secs(10);

// === impl Database ===

impl Database {
    pub(crate) fn record_sent(&mut self, sent: Sent, now: Timestamp) {
        let Some(row) = self.activations.get_mut(&(sent.gateway, sent.generation)) else { return };
        let again = row.state == ActivationState::Offered;
        let moved = transition(row.state, ActivationEvent::Sent);
        if let Some(state) = moved {
            row.state = state;
            row.state_at = now;
            row.reason.clear();
        }
        if again || moved.is_some() {
            row.expires_at = Some(now.plus(OFFER_DEADLINE));
        }
    }

    pub(crate) fn record_report(&mut self, record: &Record, now: Timestamp) {
        if record.lineage != self.lineage {
            return;
        }
        if let Some(answered) = &record.answered {
            let (event, reason) = match &answered.acknowledgement {
                Acknowledgement::Ack { .. } => (ActivationEvent::Acked, String::new()),
                Acknowledgement::Nack(reason) => {
                    (ActivationEvent::Nacked(reason.stage), reason.reason.clone())
                }
            };
            let at = before(now, answered.ago);
            self.answer(
                (record.gateway, answered.generation),
                answered.digest,
                event,
                reason,
                record.boot,
                at,
            );
        }
        // What a gateway says it runs is the truth, should its ack have been lost.
        if let Some(running) = record.running {
            let key = (record.gateway, running.held.generation);
            let at = before(now, running.ago);
            self.answer(key, running.held.digest, ActivationEvent::Acked, String::new(), record.boot, at);
            self.observe(record, running);
        }
    }

    fn answer(
        &mut self,
        key: ActivationKey,
        digest: ConfigDigest,
        event: ActivationEvent,
        reason: String,
        boot: BootId,
        at: Timestamp,
    ) {
        let Some(row) = self.activations.get_mut(&key) else { return };
        if row.version.digest != digest {
            return;
        }
        let Some(state) = transition(row.state, event) else { return };
        row.state = state;
        row.state_at = at;
        row.reason = reason;
        row.answered_by = Some(boot);
        if state != ActivationState::Active {
            return;
        }
        self.tell_active(key.0, key.1);
        let members = self.rollouts.iter().flat_map(|rollout| &rollout.members);
        let left = members.filter(|member| member.gateway == key.0 && member.back == Some(key.1));
        let left: Vec<Generation> = left.map(|member| member.generation).collect();
        for generation in left {
            if let Some(row) = self.activations.get_mut(&(key.0, generation))
                && let Some(state) = transition(row.state, ActivationEvent::Left)
            {
                row.state = state;
                row.state_at = at;
                row.reason = format!("back to generation {}", key.1);
            }
        }
    }

    fn observe(&mut self, record: &Record, running: Running) {
        let Some(row) = self.gateways.get_mut(&record.gateway) else { return };
        let replaced = row.boot == Some(record.boot) && row.counter > record.counter;
        let older = row.observed.is_some_and(|held| held.generation > running.held.generation);
        if !replaced && !older {
            row.observed = Some(running.held);
        }
    }

    pub(crate) fn record_presence(&mut self, gateway: GatewayId, seen: Presence) {
        let Some(row) = self.gateways.get_mut(&gateway) else { return };
        let counts = if row.boot == Some(seen.boot) {
            row.counter <= seen.counter
        } else {
            seen.attached && row.last_seen.is_none_or(|last| last < seen.at)
        };
        if counts {
            row.last_seen = row.last_seen.max(Some(seen.at));
            row.attached = seen.attached;
            row.boot = Some(seen.boot);
            row.counter = seen.counter;
        }
    }

    /// Turns silence into an answer, where a stream lives to have carried one.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for ((gateway, _), row) in &mut self.activations {
            let there = self.gateways.get(gateway).is_some_and(|row| {
                row.attached && row.last_seen.is_some_and(|seen| now.since(seen) < STALE_FOR)
            });
            let due = row.expires_at.is_some_and(|at| at <= now);
            if there
                && due
                && row.state == ActivationState::Offered
                && let Some(state) = transition(row.state, ActivationEvent::Silent)
            {
                row.state = state;
                row.state_at = now;
                "no answer in time".clone_into(&mut row.reason);
            }
        }
    }
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    Timestamp::from_micros(now.micros - i64::try_from(ago.as_micros()).unwrap())
}
