//! What travels on a stream between a gateway and a control plane: the wire's messages, as values.

use std::time::Duration;

use fleet_core::ids::{BootId, Lineage, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, Offer};
use fleet_core::stable::Seen;
use fleet_core::standing::Held;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;

#[derive(Debug, Clone)]
pub(crate) enum ToPlane {
    Hello(Hello),
    Report(Report),
    Heartbeat { session: SessionId, running: Option<Running> },
}

#[derive(Debug, Clone)]
pub(crate) enum ToAgent {
    Welcome { session: SessionId, lineage: Lineage },
    Offer { session: SessionId, offer: Offer, parcel_follows: bool },
    Parcel(ConfigDigest),
    ReportAck(OfferId),
}

#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) boot: BootId,
    pub(crate) counter: u64,
    pub(crate) lineage: Option<Lineage>,
    /// Of that lineage.
    pub(crate) seen: Seen,
    pub(crate) running: Option<Running>,
    pub(crate) staged: Vec<ConfigDigest>,
    pub(crate) unconfirmed: Option<Report>,
}

/// What runs, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) held: Held,
    pub(crate) ago: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) offer: OfferId,
    pub(crate) lineage: Lineage,
    pub(crate) generation: Generation,
    pub(crate) digest: ConfigDigest,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) running: Option<Running>,
    pub(crate) ago: Duration,
}

// === impl ToPlane ===

impl ToPlane {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Report(_) => "report",
            Self::Heartbeat { .. } => "heartbeat",
        }
    }
}

// === impl ToAgent ===

impl ToAgent {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::Offer { .. } => "offer",
            Self::Parcel(_) => "parcel",
            Self::ReportAck(_) => "report ack",
        }
    }
}
