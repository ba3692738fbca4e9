//! The link to the control plane, in three layers with one worry each: [`link`] is for ever and turns
//! the end of a try into the next wait, [`exchange`] is one stream, [`identity`] is who we are on it.
//!
//! It moves offers to the Activator and the Activator's answers back. It must not judge or compile,
//! and the gateway serves the same whether the link is up or down.

pub mod exchange;
pub mod identity;
pub mod link;
