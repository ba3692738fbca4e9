//! The data plane over real sockets: a gateway on port 0, a scripted provider, a real client.

mod breakers;
mod drain;
mod events;
mod fallback;
mod harness;
mod heads;
mod http2;
mod leaving;
mod limits;
mod provider_answers;
mod providers;
mod rules;
mod statuses;
mod streaming;
mod swaps;
mod tls;
mod wire;
