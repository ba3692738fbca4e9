//! Wire → core and core → wire, for what is decided on.

pub mod findings;
pub mod hello;
pub mod offers;
pub mod reports;
pub mod rollouts;
pub mod scalars;
