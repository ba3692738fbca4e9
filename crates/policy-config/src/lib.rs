//! What a policy file may say: bytes → document → config or located findings, one parser, one lint,
//! one canonical form for `kt`, the control plane and the gateway.
//!
//! Pure: no files, no clocks, no network, no randomness.

pub mod digest;
pub mod location;
pub mod schema;
pub mod lint;

pub use digest::ConfigDigest;
pub use lint::report::{Finding, LintReport, Severity};
pub use schema::PolicyConfig;
