//! The wire: messages and services made from `kt/fleet/v1/*.proto`, and the conversions of what is decided on.
//!
//! A type is valid after `TryFrom`, or it does not exist. Reads are not converted twice: the control plane makes
//! wire messages from rows, `kt` makes JSON and tables from wire messages.

#![forbid(unsafe_code)]

pub mod convert;
pub mod wire_error;

pub use wire_error::WireError;

/// Generated from `kt/fleet/v1`.
#[expect(clippy::allow_attributes_without_reason, clippy::large_enum_variant, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("kt.fleet.v1");
}

/// Metadata of an answer that the control plane had in memory, its database being away: when it was read, in RFC 3339.
pub const STALE_SINCE: &str = "x-kt-stale-since";

/// All messages and services, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
