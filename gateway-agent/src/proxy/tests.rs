//! The data plane over real sockets: a gateway on port 0, a scripted provider, a real client.

mod drain;
mod events;
mod harness;
mod limits;
mod provider_answers;
mod statuses;
mod streaming;
mod swaps;
mod wire;
