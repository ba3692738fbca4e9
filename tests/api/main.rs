//! The control plane's gRPC surface, message by message: a real server in this process on a real Postgres, and
//! peers that follow the protocol or break it.
#![cfg(test)]
#![forbid(unsafe_code)]

mod auth;
mod hostile;
mod hostile_calls;
mod hostile_http2;
mod hostile_streams;
mod push;
mod raw;
mod session;
mod witness;
