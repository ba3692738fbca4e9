//! The control plane's gRPC surface, message by message: a real server in this process on a real Postgres, and
//! peers that follow the protocol or break it.
#![cfg(test)]
#![forbid(unsafe_code)]

mod agent;
mod auth;
mod hostile;
mod push;
mod session;
