//! The one place where the pack changes.

pub mod live;
