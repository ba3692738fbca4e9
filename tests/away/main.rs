//! The database away from the control plane, and the control plane away from its agents: what goes on meanwhile, what
//! is refused and how, what is stale and says so, and how soon everything is back.
#![cfg(test)]
#![forbid(unsafe_code)]

mod links;
mod memory;
mod orders;
mod reads;
mod returns;
mod streams;
mod support;
