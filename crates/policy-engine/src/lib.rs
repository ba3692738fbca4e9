//! policy-engine.
