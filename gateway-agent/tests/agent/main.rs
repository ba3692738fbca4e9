//! The agent from outside: a scripted control plane on one side, its directory and its port on the other.

#![cfg(test)]

mod activation;
mod admin;
mod admin_crowd;
mod admin_guard;
mod cold_start;
mod enrolment;
mod front;
mod handover;
mod handover_load;
mod hostile;
mod installed;
mod metrics;
mod poisoned;
mod program;
mod scripted_control_plane;
mod stored;
mod support;
