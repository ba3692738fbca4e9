//! Every finding about a pack, at once.

pub mod report;
