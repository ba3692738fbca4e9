//! Whose a credential is, by the database; and those that it knew when it was last asked: good while it is away, and
//! only then.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;

use crate::store::lane::{LOOK_UPS, Lane};
use crate::store::tokens::{TokenHash, agent_find};
use crate::store::{Store, StoreError};

type Agent = (GatewayId, GatewayPath);

/// The one who asks the database for agents, and remembers what it said.
#[derive(Debug)]
pub(crate) struct KnownAgents {
    store: Store,
    lane: Lane,
    memory: Mutex<Memory>,
}

/// Hash of a credential → its gateway, of which there is one credential each.
#[derive(Debug)]
struct Memory {
    known: HashMap<[u8; 32], Known>,
    by_gateway: HashMap<GatewayId, [u8; 32]>,
    /// The least recently learned first.
    by_age: BTreeMap<u64, [u8; 32]>,
    learned: u64,
    limit: usize,
}

#[derive(Debug)]
struct Known {
    agent: Agent,
    learned: u64,
}

/// More than a replica has streams.
const LIMIT: usize = 32_768;

// === impl KnownAgents ===

impl KnownAgents {
    pub(super) fn new(store: Store) -> Self {
        Self { store, lane: Lane::new(LOOK_UPS), memory: Mutex::new(Memory::with_limit(LIMIT)) }
    }

    /// Who holds this credential now, as the database says.
    ///
    /// # Errors
    /// Of the store; nothing is known then.
    pub(crate) async fn look_up(&self, token: TokenHash) -> Result<Option<Agent>, StoreError> {
        let found = async {
            let _turn = self.lane.turn(&self.store).await?;
            agent_find(&self.store, token).await
        };
        let agent = self.store.while_there(found).await?;
        self.memory().learn(token, agent.as_ref());
        Ok(agent)
    }

    /// Who held it when the database was last asked.
    pub(super) fn recall(&self, token: TokenHash) -> Option<Agent> {
        self.memory().recall(token)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Memory ===

impl Memory {
    fn with_limit(limit: usize) -> Self {
        Self { known: HashMap::new(), by_gateway: HashMap::new(), by_age: BTreeMap::new(), learned: 0, limit }
    }

    /// What the database says of a credential. What its gateway had before is void, and so is forgotten.
    fn learn(&mut self, token: TokenHash, agent: Option<&Agent>) {
        self.forget(token.0);
        let Some(agent) = agent else { return };
        if let Some(former) = self.by_gateway.get(&agent.0).copied() {
            self.forget(former);
        }
        self.learned += 1;
        let learned = self.learned;
        self.by_age.insert(learned, token.0);
        self.by_gateway.insert(agent.0, token.0);
        self.known.insert(token.0, Known { agent: agent.clone(), learned });
        while self.known.len() > self.limit {
            let Some(oldest) = self.by_age.first_entry().map(|entry| *entry.get()) else { break };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, token: [u8; 32]) {
        if let Some(Known { agent, learned }) = self.known.remove(&token) {
            self.by_age.remove(&learned);
            self.by_gateway.remove(&agent.0);
        }
    }

    fn recall(&self, token: TokenHash) -> Option<Agent> {
        self.known.get(&token.0).map(|known| known.agent.clone())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn token(number: u8) -> TokenHash {
        TokenHash([number; 32])
    }

    fn agent(number: u8) -> Agent {
        (GatewayId(Uuid::from_u128(number.into())), format!("prod/edge-{number}").parse().unwrap())
    }

    #[test]
    fn what_the_database_denied_is_forgotten_and_the_number_is_bounded() {
        let mut agents = Memory::with_limit(2);
        for number in [1, 2, 1] {
            agents.learn(token(number), Some(&agent(number)));
        }
        agents.learn(token(3), Some(&agent(3)));
        assert_eq!(agents.recall(token(2)), None, "the least recently learned makes room");
        assert_eq!(agents.recall(token(1)), Some(agent(1)));
        agents.learn(token(1), None);
        assert_eq!(agents.recall(token(1)), None, "it was denied");
        // Known again, it is the newest, wherever it was before.
        agents.learn(token(1), Some(&agent(1)));
        agents.learn(token(4), Some(&agent(4)));
        assert_eq!(agents.recall(token(3)), None);
        assert_eq!(agents.recall(token(1)), Some(agent(1)));
        assert_eq!((agents.known.len(), agents.by_gateway.len(), agents.by_age.len()), (2, 2, 2));
    }

    #[test]
    fn a_new_credential_makes_the_former_one_void() {
        let mut agents = Memory::with_limit(8);
        agents.learn(token(1), Some(&agent(1)));
        agents.learn(token(2), Some(&agent(1)));
        assert_eq!(agents.recall(token(1)), None);
        agents.learn(token(1), None);
        assert_eq!(agents.recall(token(2)), Some(agent(1)), "what is said of the former is not of this one");
        assert_eq!((agents.known.len(), agents.by_gateway.len(), agents.by_age.len()), (1, 1, 1));
    }
}
