//! A provider to try things against: a real HTTP server that speaks OpenAI's chat completions, completions, embeddings,
//! responses and models (also at Azure's paths) and Anthropic's messages, whole and streamed, at a pace and with faults that the request asks for (see [`Script`]),
//! and that can be asked what it received (`GET /__received`).
//!
//! It knows nothing of packs, gateways or fleets.

#![forbid(unsafe_code)]

mod answer;
mod dialect;
mod received;
mod routes;
mod script;
mod server;

pub use received::{Received, ReceivedRequest};
pub use script::{Script, ToolCall};
pub use server::{Bound, FakeProvider};
