//! The gRPC surface: every call passes the guard (authority, credential, rule, time limit) and what stands in for a
//! database that is away, then one handler, which converts, calls one operation or one read, and converts back.

mod answers;
pub(crate) mod auth;
pub(crate) mod call_error;
mod configs;
mod connections;
mod delivery;
mod gateways;
mod guard;
mod history;
mod known_agents;
pub(crate) mod limits;
mod outage;
mod paging;
mod rollouts;
mod rules;
pub(crate) mod status;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use proto::v1::config_service_server::ConfigServiceServer;
use proto::v1::delivery_service_server::DeliveryServiceServer;
use proto::v1::fleet_service_server::FleetServiceServer;
use proto::v1::gateway_service_server::GatewayServiceServer;
use proto::v1::history_service_server::HistoryServiceServer;
use proto::v1::rollout_service_server::RolloutServiceServer;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::delivery::Hub;
use crate::store::lane::{FOLLOWERS, Lane};
pub(crate) use auth::{Authenticator, Proof};
use connections::{Connections, Patience};
use guard::GuardLayer;
pub(crate) use known_agents::KnownAgents;
use outage::OutageLayer;

/// A pack is at most 256 KiB; the lint says so more kindly than the transport, so there is some room above.
const MAX_PUSH: usize = 512 * 1024;
const MAX_MESSAGE: usize = 64 * 1024;
/// The flag and the length in front of a message.
const FRAME: usize = 5;
/// A report carries capped findings, a hello capped digests.
const MAX_FROM_AGENT: usize = 256 * 1024;
/// Limits of one connection, against floods of streams, resets and headers.
const MAX_STREAMS: u32 = 100;
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 64;
const MAX_HEADERS: u32 = 16 * 1024;
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Of the age of a stream, which is at most 1.1 of it.
const CONNECTION_AGE: f64 = 1.2;
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

/// Serves until the hub drains and every call has ended.
pub(crate) async fn serve(
    listener: tokio::net::TcpListener,
    hub: Arc<Hub>,
    authenticator: Authenticator,
    health: HealthServer<impl Health>,
) -> Result<(), ServeError> {
    let context = hub.context.clone();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let configs = configs::Configs { context: context.clone() };
    let (drain, lane) = (hub.drain.clone(), Arc::new(Lane::new(FOLLOWERS)));
    let rollouts = rollouts::Rollouts { context: context.clone(), drain: drain.clone(), lane: lane.clone() };
    let history = history::History { context: context.clone(), drain: drain.clone(), lane };
    let timings = hub.timings;
    let patience = Patience {
        handshake: timings.handshake,
        stranger: timings.stranger,
        idle: timings.idle,
        unread: timings.unread,
    };
    let (taken, incoming) = mpsc::channel(1);
    let accepting = connections::accept(listener, Connections::new(patience), taken, drain.clone());
    drain.spawn("connections", accepting);
    Server::builder()
        // Ends at a moment between calls; agents' streams are asked to come again a little before.
        .max_connection_age(timings.stream_age.mul_f64(CONNECTION_AGE))
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
        .http2_max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_WITHIN))
        .layer(GuardLayer::new(authenticator))
        .layer(OutageLayer::new(&context))
        .add_service(ConfigServiceServer::new(configs).max_decoding_message_size(MAX_PUSH))
        .add_service(
            FleetServiceServer::new(gateways::Fleets { context: context.clone() })
                .max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(
            GatewayServiceServer::new(gateways::Gateways { context }).max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(RolloutServiceServer::new(rollouts).max_decoding_message_size(MAX_MESSAGE))
        .add_service(HistoryServiceServer::new(history).max_decoding_message_size(MAX_MESSAGE))
        .add_service(
            DeliveryServiceServer::new(delivery::Delivery { hub }).max_decoding_message_size(MAX_FROM_AGENT),
        )
        .add_service(health.max_decoding_message_size(MAX_MESSAGE))
        .add_service(reflection().build_v1().map_err(ServeError::Reflection)?)
        .add_service(reflection().build_v1alpha().map_err(ServeError::Reflection)?)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async move { drain.signaled().await })
        .await
        .map_err(ServeError::Transport)
}

/// Why gRPC is not served any more.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the descriptors of the services are spoiled")]
    Reflection(#[source] tonic_reflection::server::Error),
    #[error("the gRPC port is not served any more")]
    Transport(#[source] tonic::transport::Error),
}
