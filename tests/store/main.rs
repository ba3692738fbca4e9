//! The store, its operations and the reconciler against a real PostgreSQL: each rule, each constraint, each race.
#![cfg(test)]

mod away;
mod gateways;
mod history;
mod migrations;
mod pushing;
mod races;
mod reports;
mod rollouts;
mod wakeups;
mod world;
