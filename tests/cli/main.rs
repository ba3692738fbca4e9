//! `kt` as people and scripts meet it: real command lines, with their exit codes, stdout and stderr.

mod completions;
mod credentials;
mod fleet_loop;
mod gateway_run;
mod hostile_servers;
mod lint;
mod reference;
mod usage;
