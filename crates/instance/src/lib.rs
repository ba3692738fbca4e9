//! One gateway's directory on its host, as `kt` and `kt-gateway` share it.
//!
//! Where things lie ([`place`]), how a file survives a crash ([`durable`]), who holds the directory ([`lock`]), what was
//! installed ([`description`]), what happened ([`history`]), what is said over the gateway's door ([`documents`]) and
//! how one gets there ([`door`]). It decides nothing, and knows neither the proxy nor the control plane.

#![forbid(unsafe_code)]

pub mod description;
pub mod documents;
pub mod door;
pub mod durable;
pub mod history;
pub mod lock;
pub mod place;
mod text;

pub use description::Description;
pub use history::{Action, History, HistoryRecord, Outcome};
pub use place::Place;
