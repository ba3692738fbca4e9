//! The data plane over real sockets: a gateway on port 0, a scripted provider, a real client.

mod drain;
mod harness;
mod provider_answers;
mod rules;
mod statuses;
mod streaming;
mod swaps;
mod wire;
