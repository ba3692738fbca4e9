//! What every long-running program needs and no program should write twice: time, back-off, drain,
//! readiness, the admin port and the log. It knows nothing of fleets, packs or gateways.

#![forbid(unsafe_code)]

pub mod admin_server;
pub mod backoff;
pub mod bucket;
pub mod clock;
pub mod drain;
pub mod failpoint;
pub mod readiness;
pub mod telemetry;
