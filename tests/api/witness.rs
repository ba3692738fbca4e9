//! A gateway that behaves, while others do not: whatever they do, it gets its pushes.

use std::time::{Duration, Instant};

use proto::v1;

use tests::eventually::eventually;
use tests::operator::{Operator, pack};
use tests::plane::PATIENCE;
use tests::scripted_agent::{Agent, hello};

/// The one gateway of a fleet of its own.
pub struct Witness {
    operator: Operator,
    agent: Agent,
    pushes: u32,
}

const FLEET: &str = "witness";

// === impl Witness ===

impl Witness {
    pub async fn attach(operator: &Operator) -> Self {
        operator.create_fleet(FLEET).await;
        let credential = operator.enroll(FLEET, "edge-1").await;
        let agent = Agent::attach(operator, &credential, hello()).await;
        Self { operator: operator.clone(), agent, pushes: 0 }
    }

    /// Pushes a pack, takes it, and waits until the rollout has succeeded; answers how long that took.
    pub async fn is_served(&mut self) -> Duration {
        let began = Instant::now();
        self.pushes += 1;
        let pushed = self.operator.push(FLEET, &pack(&format!("0.0.{}", self.pushes))).await;
        let offer = self.agent.offered().await.offer;
        self.agent.ack(&offer).await;
        let id = pushed.rollout.unwrap().id;
        eventually("the end of the witness's rollout", PATIENCE, || async {
            let rollout = self.operator.rollout(&id).await;
            if rollout.state() == v1::RolloutState::Succeeded { Ok(()) } else { Err(rollout) }
        })
        .await;
        began.elapsed()
    }
}
