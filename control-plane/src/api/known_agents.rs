//! The credentials that the database knew when it was last asked: good while it is away, and only then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;

use crate::store::tokens::TokenHash;

type Agent = (GatewayId, GatewayPath);

/// Hash of a credential → its gateway.
#[derive(Debug)]
pub(super) struct KnownAgents {
    known: Mutex<Known>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Known {
    agents: HashMap<[u8; 32], Agent>,
    /// In the order in which they became known.
    order: VecDeque<[u8; 32]>,
}

/// More than a replica has streams.
const LIMIT: usize = 32_768;

// === impl KnownAgents ===

impl KnownAgents {
    pub(super) fn new() -> Self {
        Self::with_limit(LIMIT)
    }

    fn with_limit(limit: usize) -> Self {
        Self { known: Mutex::default(), limit }
    }

    /// What the database says of a credential. A gateway has one: what it had before is forgotten when it is seen.
    pub(super) fn learn(&self, token: TokenHash, agent: Option<&Agent>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(agent) = agent else {
            known.agents.remove(&token.0);
            return;
        };
        if known.agents.insert(token.0, agent.clone()).is_some() {
            return;
        }
        known.order.push_back(token.0);
        // Those that were forgotten leave the order here, at the latest.
        while known.order.len() > self.limit {
            let Some(oldest) = known.order.pop_front() else { break };
            known.agents.remove(&oldest);
        }
    }

    pub(super) fn recall(&self, token: TokenHash) -> Option<Agent> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).agents.get(&token.0).cloned()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_the_database_denied_is_forgotten_and_the_number_is_bounded() {
        let agents = KnownAgents::with_limit(2);
        let token = |number| TokenHash([number; 32]);
        let agent = |number: u8| -> Agent {
            (GatewayId(Uuid::from_u128(number.into())), format!("prod/edge-{number}").parse().unwrap())
        };
        for number in [1, 2, 1] {
            agents.learn(token(number), Some(&agent(number)));
        }
        assert_eq!(agents.recall(token(1)), Some(agent(1)));
        agents.learn(token(3), Some(&agent(3)));
        assert_eq!(agents.recall(token(1)), None, "the oldest makes room");
        agents.learn(token(2), None);
        assert_eq!(agents.recall(token(2)), None, "it was denied");
        assert_eq!(agents.recall(token(3)), Some(agent(3)));
    }
}
