//! What a test may assume: a real PostgreSQL, real programs in process or as built, scripted peers, and helpers
//! that wait for a condition instead of for time.

#![forbid(unsafe_code)]

pub mod postgres;
pub mod eventually;
pub mod http;
pub mod kt;
