//! The reconciler: looks at every open rollout, lets `fleet_core::rollout::step` decide, writes what it decided.
//!
//! Its rules: it is woken or looks by itself, and does the same both times; it reads the whole state, counts and
//! never the fleet; each step is one transaction with a compare-and-set, so that any number of replicas may do this
//! at the same time, and the one that loses reads again; it keeps nothing between two looks.

pub mod apply;
pub mod driver;
pub mod expire;
