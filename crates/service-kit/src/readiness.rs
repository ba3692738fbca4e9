//! Whether the program may be sent work yet, told by the parts that are not there yet: each holds a named
//! blocker and drops it when it is ready. A part that dies on the way keeps the program unready only as
//! long as it holds its blocker, so a blocker is owned by the value that becomes ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is still awaited. Clones share it. Without a blocker it is ready.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    blockers: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

/// Keeps the program unready until it is dropped.
#[must_use = "dropping the blocker says that the part is ready"]
#[derive(Debug)]
pub struct ReadinessBlocker {
    name: &'static str,
    readiness: Readiness,
}

// === impl Readiness ===

impl Readiness {
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a part that is not ready. The same name may be blocked several times.
    pub fn block(&self, name: &'static str) -> ReadinessBlocker {
        let mut blockers = self.blockers.lock().unwrap_or_else(PoisonError::into_inner);
        *blockers.entry(name).or_default() += 1;
        ReadinessBlocker { name, readiness: self.clone() }
    }

    pub fn is_ready(&self) -> bool {
        self.blockers.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The names still awaited, sorted, each once.
    pub fn waiting_on(&self) -> Vec<&'static str> {
        self.blockers.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

// === impl ReadinessBlocker ===

impl Drop for ReadinessBlocker {
    fn drop(&mut self) {
        let waiting_on = {
            let mut blockers = self.readiness.blockers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = blockers.get_mut(self.name) {
                *count -= 1;
                if *count == 0 {
                    blockers.remove(self.name);
                }
            }
            blockers.keys().copied().collect::<Vec<_>>()
        };
        if waiting_on.is_empty() {
            tracing::debug!(part = self.name, "no longer awaited");
        } else {
            tracing::debug!(part = self.name, ?waiting_on, "part is ready");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blocker_must_be_dropped_before_it_is_ready() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let store = readiness.block("store");
        let policy = readiness.block("policy");
        let second_store = readiness.block("store");
        assert_eq!(readiness.waiting_on(), ["policy", "store"]);
        drop(policy);
        drop(store);
        assert_eq!(readiness.waiting_on(), ["store"]);
        assert!(!readiness.is_ready());
        drop(second_store);
        assert!(readiness.is_ready());
        assert!(readiness.waiting_on().is_empty());
    }
}
