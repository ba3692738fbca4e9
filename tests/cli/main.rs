//! `kt` as people and scripts meet it: real command lines, with their exit codes, stdout and stderr.

mod completions;
mod credentials;
mod doctor;
mod fleet_loop;
mod gateway_run;
mod hostile_servers;
mod lint;
mod local_host;
mod local_lifecycle;
mod local_loop;
mod local_managed;
mod local_places;
mod local_refusals;
mod local_supervisor;
mod local_told;
mod policy_ci;
mod policy_diff;
mod policy_init;
mod policy_test;
mod reference;
mod usage;
