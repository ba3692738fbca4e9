//! The whole fleet in one process: a control plane on a real Postgres, gateways with real sockets, a provider.
#![cfg(test)]

mod ack_means_active;
mod boots_from_disk;
mod break_glass;
mod data_plane;
mod history_cursor;
mod in_flight_requests;
mod nack;
mod push_to_fleet;
mod reconnect;
mod restored_database;
mod swaps_under_load;
mod two_publishers;
