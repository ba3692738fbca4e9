//! What a pack does: compiled once at activation, run per request, with no clock, no I/O and no
//! shared state. Secrets come in as values and leave only through [`Target::api_key_value`].
//!
//! Reading order: [`Engine`] is what a gateway holds; a body goes in, an [`Inspection`] comes out,
//! and what is forwarded is byte for byte what was inspected.

#![forbid(unsafe_code)]

mod budget;
mod cases;
mod chain;
mod compile;
mod endpoint;
mod engine;
mod error_event;
mod golden;
mod json;
mod meters;
mod policies;
mod redaction;
mod request;
mod secrets;
mod self_test;
mod stream;
mod surroundings;
mod target;
mod text;
mod usage;
mod vectors;
mod verdict;

pub use cases::CaseOutcome;
pub use compile::CompileError;
pub use endpoint::Endpoint;
pub use engine::Engine;
pub use error_event::error_event;
pub use golden::read_golden;
pub use json::JsonError;
pub use meters::{Charge, Claim, Exhausted, Level, MeterId, Metered, Meters};
pub use policies::model_access::TargetFilter;
pub use policies::prompt_injection::PATTERN_SET_VERSION;
pub use request::RequestError;
pub use secrets::{Secret, Secrets};
pub use self_test::SelfTestError;
pub use stream::StreamInspector;
pub use surroundings::{Nowhere, Surroundings};
pub use target::{KeyState, Target};
pub use verdict::{BlockClass, BlockReason, Inspection, PolicyRecord, Usage, Verdict};
