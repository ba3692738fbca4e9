//! The engine through its public door: packs in, bodies in, verdicts and bytes out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod cases;
mod chain;
mod corpus;
mod redaction;
mod rules;
mod support;
