//! How a stream begins: the hello with the standing, and what the welcome says.

use std::time::Duration;

use fleet_core::gateway::Labels;
use fleet_core::ids::{Lineage, SessionId};
use proto::convert::hello::{HelloMessage, MAX_STAGED};
use proto::convert::scalars;
use proto::v1;
use proto::v1::delivery_service_client::DeliveryServiceClient;
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::super::identity::Identity;
use super::{Ended, ended_by, lost, refused, sent_away};
use crate::activation::handle::ActivatorHandle;

/// What a stream is opened with.
pub(in crate::control) struct Opening<'a> {
    pub(in crate::control) identity: &'a Identity,
    pub(in crate::control) labels: &'a Labels,
    pub(in crate::control) session_counter: u64,
    pub(in crate::control) activator: &'a ActivatorHandle,
    pub(in crate::control) clock: &'a Clock,
    pub(in crate::control) drain: &'a DrainWatcher,
    /// Told once the stream is welcomed.
    pub(in crate::control) connected: &'a watch::Sender<bool>,
}

/// What the welcome said.
pub(super) struct Welcomed {
    pub(super) session: SessionId,
    pub(super) lineage: Lineage,
    pub(super) heartbeat: Duration,
    pub(super) gateway: String,
}

/// The largest pack this gateway takes; lint refuses more.
const MAX_CONFIG_BYTES: u64 = 256 * 1024;
const LARGEST_MESSAGE: usize = 1024 * 1024;
/// Messages before the welcome that are passed over; a newer control plane may have something to say first.
const MOST_BEFORE_WELCOME: usize = 8;

// === impl Welcomed ===

impl Welcomed {
    fn read(welcome: &v1::Welcome) -> Result<Self, proto::WireError> {
        let interval = welcome
            .heartbeat_interval
            .ok_or_else(|| proto::WireError::missing("welcome.heartbeat_interval"))?;
        let interval = scalars::duration("welcome.heartbeat_interval", interval)?;
        Ok(Self {
            session: scalars::parse("welcome.session_id", &welcome.session_id)?,
            lineage: scalars::parse("welcome.lineage", &welcome.lineage)?,
            heartbeat: interval.clamp(Duration::from_millis(100), Duration::from_secs(60)),
            gateway: welcome.gateway.clone(),
        })
    }
}

/// Sends the hello and waits for the welcome.
pub(super) async fn open(
    channel: Channel,
    opening: &Opening<'_>,
    requests: mpsc::Receiver<v1::FromAgent>,
) -> Result<(Streaming<v1::ToAgent>, Welcomed), Ended> {
    let request = opening.identity.credential.sign(ReceiverStream::new(requests));
    let mut client = DeliveryServiceClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
    let response = client.attach(request).await.map_err(|status| ended_by(&status, None))?;
    let mut inbound = response.into_inner();
    for _ in 0..=MOST_BEFORE_WELCOME {
        let message = match inbound.message().await {
            Ok(Some(message)) => message.message,
            Ok(None) => return Err(lost("the control plane closed the stream before its welcome", None)),
            Err(status) => return Err(ended_by(&status, None)),
        };
        match message {
            Some(v1::to_agent::Message::Welcome(welcome)) => {
                let welcomed = Welcomed::read(&welcome)
                    .map_err(|error| refused(&format!("the welcome is not valid: {error}"), None))?;
                return Ok((inbound, welcomed));
            }
            Some(v1::to_agent::Message::Reconnect(reconnect)) => return Err(sent_away(reconnect)),
            Some(
                v1::to_agent::Message::Offer(_)
                | v1::to_agent::Message::Parcel(_)
                | v1::to_agent::Message::ReportAck(_),
            )
            | None => tracing::debug!("a message before the welcome is ignored"),
        }
    }
    Err(refused("the control plane speaks but does not welcome", None))
}

/// What this gateway runs and keeps.
pub(super) fn hello(opening: &Opening<'_>) -> HelloMessage {
    let record = opening.activator.record();
    let standing = record.standing();
    HelloMessage {
        boot: opening.activator.boot(),
        session_counter: opening.session_counter,
        labels: opening.labels.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        max_config_bytes: MAX_CONFIG_BYTES,
        lineage: record.lineage,
        active: record.lineage.and_then(|lineage| record.running_in(lineage, opening.clock)),
        highest: record.highest,
        unconfirmed: record.unconfirmed.as_ref().map(|pending| record.report(pending, opening.clock)),
        staged: record.staged().take(MAX_STAGED).collect(),
        pinned: record.pinned,
        local: record.running_locally(opening.clock),
        last_refused: standing.refused.map(|refused| {
            let held = fleet_core::standing::Held { generation: refused.generation, digest: refused.digest };
            (held, refused.reason)
        }),
    }
}
