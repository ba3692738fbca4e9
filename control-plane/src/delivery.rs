//! Delivery: bringing each gateway what it should run, and bringing back what it says.
//!
//! A *session* is one stream of one gateway: Hello → Welcome, then one Offer at a time down, Reports up until a
//! ReportAck confirms them. Each session is one task; it shares nothing that it could block: its desired version
//! comes from a latest-wins cell of the `board`, bytes from `parcels`, and what it hears goes to `reports` and
//! `presence`, which write for all sessions at once. What is offered and what an answer means is decided by
//! `fleet_core::delivery`; when a gateway gets what is decided by the reconciler.

pub(crate) mod board;
pub(crate) mod outbound;
pub(crate) mod parcels;
pub(crate) mod presence;
pub(crate) mod reports;
pub(crate) mod session;
pub(crate) mod sessions;

use std::sync::Arc;

use service_kit::drain::DrainWatcher;

use crate::api::KnownAgents;
use crate::operations::Context;
use crate::settings::Timings;
use crate::store::lane::Lane;

/// What all sessions of this replica share.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) context: Context,
    pub(crate) timings: Timings,
    pub(crate) board: Arc<board::Board>,
    pub(crate) parcels: Arc<parcels::Parcels>,
    pub(crate) agents: Arc<KnownAgents>,
    /// The way of streams to the database, when they open and when it is back.
    pub(crate) attaching: Lane,
    pub(crate) presence: Arc<presence::Presence>,
    pub(crate) reports: reports::Reports,
    pub(crate) sessions: Arc<sessions::Sessions>,
    /// Its start ends every stream.
    pub(crate) drain: DrainWatcher,
}
