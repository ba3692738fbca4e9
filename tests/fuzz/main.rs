//! What a stranger may send, and what a disk may give back: none of it makes a program panic, stall, or answer
//! against its own properties.
//!
//! `KT_FUZZ_SECONDS=600 cargo test --workspace --test fuzz -- --nocapture` looks longer, from a seed of its own;
//! `KT_FUZZ_SEED=…` asks the same questions again; `KT_FUZZ_INPUT=…` asks one.
#![cfg(test)]

mod chat;
mod endpoints;
mod engine;
mod golden;
mod http_body;
mod json;
mod mutate;
mod planted;
mod said;
mod sse;
mod standing;
mod wire;
mod yaml;

#[test]
fn yaml() {
    engine::run(yaml::Yaml::default());
}

#[test]
fn golden() {
    engine::run(golden::Golden::default());
}

#[test]
fn wire() {
    engine::run(wire::Wire::default());
}

#[test]
fn http_body() {
    engine::run(http_body::HttpBody::default());
}

#[test]
fn sse() {
    engine::run(sse::Sse::default());
}

#[test]
fn standing() {
    engine::run(standing::Standing::default());
}
