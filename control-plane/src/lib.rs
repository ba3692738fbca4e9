//! The control plane: stores versions, plans rollouts, streams them to the agents, tells history.
//!
//! [`ControlPlane::bind`] takes the ports and the database, [`Bound::serve`] works until it is drained; so a whole
//! fleet runs in one process on port 0. Inside, every request is convert → one operation → convert (`api`), every
//! operation is load → decide → save → tell (`operations`), the decisions are `fleet-core`'s, SQL is `store`'s.

#![forbid(unsafe_code)]

pub mod admission;
pub mod api;
pub mod app;
pub mod args;
pub mod credential;
pub mod delivery;
pub mod metrics;
pub mod operations;
pub mod reconcile;
pub mod settings;
pub mod store;

pub use app::{Bound, ControlPlane, StartError};
pub use settings::Settings;
