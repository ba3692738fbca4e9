//! The gateway: it serves traffic under a policy pack, swaps the pack without cutting a request, and
//! says what it really runs.
//!
//! In reading order: [`args`] and [`settings`] say what was asked for, [`app`] binds and wires it,
//! [`activation`] is the one place where the pack changes, [`control`] brings packs from the control
//! plane, [`admin`] takes orders of this host, [`proxy`] serves traffic under whatever pack is live.

#![forbid(unsafe_code)]

pub mod activation;
pub mod admin;
pub mod app;
pub mod args;
pub mod control;
pub mod decisions;
mod history;
pub mod holding;
pub mod metrics;
pub mod proxy;
pub mod settings;
