//! The agent's disk, held to its promises by real processes and real files: the order of syncs, errors at every
//! write, a full disk, and state files of every kind of wrong.
#![cfg(test)]

mod crash_loop;
#[cfg(target_os = "linux")]
mod errors;
#[cfg(target_os = "linux")]
mod full;
mod gateway_start;
#[cfg(target_os = "linux")]
mod order;
mod plane_start;
mod state_files;
mod support;
#[cfg(target_os = "linux")]
mod trace;
