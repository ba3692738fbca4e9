//! What a policy file may say: bytes → document → config or located findings, one parser, one lint,
//! one canonical form for `kt`, the control plane and the gateway.
//!
//! Pure: no files, no clocks, no network, no randomness.
#![forbid(unsafe_code)]

pub mod canonical;
pub mod diff;
pub mod digest;
pub mod document;
pub mod golden;
pub mod lint;
pub mod location;
pub mod schema;
pub mod tree;

pub use digest::ConfigDigest;
pub use document::PolicyDocument;
pub use lint::report::{Finding, LintReport, Severity};
pub use schema::PolicyConfig;
