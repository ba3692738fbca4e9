//! What can be done to the control plane: one file per verb, each one transaction: load → decide → save → tell.
//!
//! Handlers and tasks call these and nothing below them for a write. A refused order of an operator that names an
//! existing thing leaves a `refused` event in the history, in a transaction of its own.

mod admit_pack;
pub mod attach_gateway;
pub mod create_fleet;
pub mod enroll_gateway;
pub mod error;
pub mod idempotency;
pub mod place_gateway;
pub mod push_config;
pub mod record_presence;
pub mod record_refusal;
pub mod record_reports;
pub mod record_sent;
pub mod start_rollout;

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;
use service_kit::clock::Clock;

pub use crate::store::presence::LocalPack;
pub use crate::store::wakeup::{Wake, WakeListener};
pub use attach_gateway::{AttachFacts, AttachOutcome, attach_gateway};
pub use create_fleet::create_fleet;
pub use enroll_gateway::{EnrollGateway, EnrolledGateway, enroll_gateway};
pub use error::{Conflict, OperationError, Precondition};
pub use push_config::{PushConfig, PushedConfig, push_config};
pub use record_presence::{PresenceRecord, record_presence};
pub use record_reports::{Answered, Confirmed, ReportRecord, RunningPack, record_reports};
pub use record_sent::{SentOffer, record_sent};
pub use start_rollout::{RolloutOrder, StartRollout, start_rollout};

use crate::store::Store;

/// What every operation works with.
#[derive(Debug, Clone)]
pub struct Context {
    pub store: Store,
    /// For ids and credentials only; times in history are the database's.
    pub clock: Clock,
    pub wake: Wake,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Holds the operator token.
    Operator,
    /// The agent of one gateway.
    Agent { gateway: GatewayId, path: GatewayPath },
}

/// The actor of what the control plane does by itself.
pub(crate) const SELF: &str = "control-plane";

// === impl Principal ===

impl Principal {
    /// As history and authors name it.
    pub fn actor(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::Agent { path, .. } => format!("agent:{path}"),
        }
    }
}
