//! What a test may assume: a real PostgreSQL, real programs in process or as built, scripted peers, and helpers
//! that wait for a condition instead of for time.

#![forbid(unsafe_code)]

pub mod cut_link;
pub mod eventually;
pub mod fleet;
pub mod host;
pub mod http;
pub mod kt;
pub mod operator;
pub mod plane;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod scripted_agent;
pub mod statements;
