//! Calls under way and how often each caller begins one. Pure: the time is passed in.

use std::collections::HashMap;

use fleet_core::ids::GatewayId;
use tokio::time::Instant;

use crate::api::call_error::CallError;
use service_kit::bucket::{Bucket, Buckets, Rate};

/// Calls of one agent that are under way: its stream, the one before it that is ending, and some room.
pub(super) const MOST_OF_AN_AGENT: u32 = 8;
/// Calls with the operator's token that are under way. Gateways enrol with it, a whole host of them at once.
pub(super) const MOST_OF_OPERATORS: u32 = 1_024;
/// Streams among them that follow something: each asks the database twice a second while it is quiet.
pub(super) const MOST_WATCHES: u32 = 128;
/// Calls without a credential that are under way.
pub(super) const MOST_OF_NOBODY: u32 = 256;
/// An agent opens a stream, and one more after a fault; its waits between tries grow from a tenth of a second.
const AGENT_BEGINS: Rate = Rate { burst: 60.0, per_second: 2.0 };
/// Scripts and dashboards, and gateways that enrol.
const OPERATORS_BEGIN: Rate = Rate { burst: 4_000.0, per_second: 1_000.0 };
/// Agents that began something a short while ago: as many as there are sessions, and some more.
const AGENTS: usize = 32_768;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    /// All who hold the operator's token.
    Operator,
    Agent(GatewayId),
}

#[derive(Debug)]
pub(super) struct Calls {
    nobody: u32,
    operators: u32,
    watches: u32,
    agents: HashMap<GatewayId, u32>,
    agent_begins: Buckets<GatewayId>,
    operators_begin: Bucket,
}

// === impl Calls ===

impl Calls {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            nobody: 0,
            operators: 0,
            watches: 0,
            agents: HashMap::new(),
            agent_begins: Buckets::new(AGENT_BEGINS, AGENTS),
            operators_begin: Bucket::full(OPERATORS_BEGIN, now),
        }
    }

    /// Notes that a call begins, or says which limit it meets. `watch`: a stream that follows something.
    pub(super) fn begin(&mut self, who: Who, watch: bool, now: Instant) -> Result<(), CallError> {
        match who {
            Who::Nobody => {
                at_most(self.nobody, MOST_OF_NOBODY)?;
                self.nobody += 1;
            }
            Who::Operator => {
                if watch && self.watches >= MOST_WATCHES {
                    return Err(CallError::TooManyWatches(MOST_WATCHES));
                }
                at_most(self.operators, MOST_OF_OPERATORS)?;
                self.operators_begin.take(OPERATORS_BEGIN, now).map_err(CallError::TooFast)?;
                self.operators += 1;
                self.watches += u32::from(watch);
            }
            Who::Agent(gateway) => {
                at_most(self.agents.get(&gateway).copied().unwrap_or_default(), MOST_OF_AN_AGENT)?;
                self.agent_begins.take(gateway, now).map_err(CallError::TooFast)?;
                *self.agents.entry(gateway).or_default() += 1;
            }
        }
        Ok(())
    }

    /// A call that began so has ended.
    pub(super) fn end(&mut self, who: Who, watch: bool) {
        match who {
            Who::Nobody => self.nobody = self.nobody.saturating_sub(1),
            Who::Operator => {
                self.operators = self.operators.saturating_sub(1);
                self.watches = self.watches.saturating_sub(u32::from(watch));
            }
            Who::Agent(gateway) => {
                if let Some(count) = self.agents.get_mut(&gateway) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.agents.remove(&gateway);
                    }
                }
            }
        }
    }
}

fn at_most(under_way: u32, most: u32) -> Result<(), CallError> {
    if under_way < most { Ok(()) } else { Err(CallError::TooManyCalls(most)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    const ONE: Who = Who::Agent(GatewayId(Uuid::from_u128(1)));
    const OTHER: Who = Who::Agent(GatewayId(Uuid::from_u128(2)));

    #[tokio::test(start_paused = true)]
    async fn each_caller_has_its_own_bound_and_an_end_makes_room() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3_600);
        for (who, watch, most, refused) in [
            (ONE, false, MOST_OF_AN_AGENT, CallError::TooManyCalls(MOST_OF_AN_AGENT)),
            (Who::Operator, false, MOST_OF_OPERATORS, CallError::TooManyCalls(MOST_OF_OPERATORS)),
            (Who::Operator, true, MOST_WATCHES, CallError::TooManyWatches(MOST_WATCHES)),
            (Who::Nobody, false, MOST_OF_NOBODY, CallError::TooManyCalls(MOST_OF_NOBODY)),
        ] {
            let mut calls = Calls::new(now);
            for _ in 0..most {
                assert_eq!(calls.begin(who, watch, now), Ok(()), "{who:?}");
            }
            assert_eq!(calls.begin(who, watch, later), Err(refused), "{who:?}");
            for other in [ONE, OTHER, Who::Operator, Who::Nobody] {
                if other != who {
                    assert_eq!(calls.begin(other, false, now), Ok(()), "{other:?} beside {who:?}");
                }
            }
            calls.end(who, watch);
            assert_eq!(calls.begin(who, watch, later), Ok(()), "{who:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn watches_leave_room_for_answers() {
        let now = Instant::now();
        let mut calls = Calls::new(now);
        while calls.begin(Who::Operator, true, now).is_ok() {}
        assert_eq!(calls.begin(Who::Operator, false, now), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_too_often_waits_alone_and_nothing_is_left_behind() {
        let now = Instant::now();
        let mut calls = Calls::new(now);
        let begun = (0..10_000)
            .filter(|_| {
                let begun = calls.begin(ONE, false, now).is_ok();
                if begun {
                    calls.end(ONE, false);
                }
                begun
            })
            .count();
        assert_eq!(begun, 60);
        assert!(matches!(calls.begin(ONE, false, now), Err(CallError::TooFast(_))));
        assert_eq!(calls.begin(OTHER, false, now), Ok(()));
        calls.end(OTHER, false);
        assert!(calls.agents.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_agents_at_once_are_let_in() {
        let now = Instant::now();
        let mut calls = Calls::new(now);
        for number in 0..10_000 {
            let who = Who::Agent(GatewayId(Uuid::from_u128(number)));
            assert_eq!(calls.begin(who, false, now), Ok(()));
        }
    }
}
