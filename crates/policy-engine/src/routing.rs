//! Which target is asked, and which next: decisions over values that are passed in, so that they hold in any order of
//! events. The gateway keeps the state and knows the time.
//!
//! Reading order: [`Candidates`] (who may be asked), [`choose`] (who is), [`Breaker`] (who is left alone), [`RetryBudget`]
//! (how many may be asked again).

mod breaker;
mod budget;
mod candidates;
mod choice;

pub use breaker::{Admission, Breaker};
pub use budget::RetryBudget;
pub use candidates::{Candidates, NoTarget, TargetSet};
pub use choice::choose;
