//! From the first message to the Welcome: who it is, what it holds, what it should run.

use std::sync::Arc;

use fleet_core::delivery::{Delivery, Opening};
use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;
use proto::convert::hello::HelloMessage;
use proto::convert::scalars::wire_duration;
use proto::v1;
use proto::v1::from_agent;
use proto::v1::to_agent::Message as ToAgent;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::super::Hub;
use super::super::outbound::{End, Outbound};
use super::super::presence::Fence;
use super::{Session, UNCONFIRMED, hung_up_or, lineage};
use crate::api::call_error::CallError;
use crate::operations::{self, AttachFacts};

/// Reads the Hello, attaches the gateway and answers the Welcome.
pub(super) async fn open(
    hub: &Arc<Hub>,
    gateway: GatewayId,
    path: &GatewayPath,
    inbound: &mut Streaming<v1::FromAgent>,
    outbound: &Outbound,
) -> Result<Session, End> {
    let hello = tokio::select! {
        () = hub.drain.signaled() => return Err(CallError::Draining.into()),
        hello = read_hello(hub, inbound) => hello?,
    };
    // Watched before the store is read, so that no change falls between.
    let cell = hub.board.watch(gateway);
    let fence = Fence { boot: hello.boot, counter: hello.session_counter };
    let outcome = operations::attach_gateway(&hub.context, gateway, facts(&hello)).await?;
    let seat = match hub.sessions.enter(gateway, fence) {
        Ok(seat) => seat,
        Err(error) => {
            hub.presence.left(gateway, fence);
            return Err(error.into());
        }
    };
    if let Some(desired) = outcome.desired {
        hub.board.fill(gateway, desired);
    }
    let welcome = v1::Welcome {
        session_id: seat.session.to_string(),
        heartbeat_interval: Some(wire_duration(hub.timings.heartbeat)),
        lineage: lineage(hub).to_string(),
        gateway_id: gateway.to_string(),
        gateway: path.to_string(),
    };
    if let Err(end) = outbound.send(ToAgent::Welcome(welcome)).await {
        if seat.is_newest() {
            hub.presence.left(gateway, fence);
        }
        return Err(end);
    }
    let (confirm, confirmed) = mpsc::channel(UNCONFIRMED);
    let session = Session {
        hub: hub.clone(),
        gateway,
        path: path.clone(),
        fence,
        agent_version: hello.agent_version.clone(),
        seat,
        delivery: Delivery::open(Opening {
            lineage: lineage(hub),
            agent_lineage: hello.lineage,
            active: hello.active.as_ref().map(|running| running.held),
            staged: hello.staged,
            boot: hello.boot,
            agent_version: hello.agent_version,
            refusal: outcome.refusal,
        }),
        cell,
        confirm,
        confirmed,
        last_heard: Instant::now(),
        retry_at: None,
    };
    hub.presence.seen(gateway, fence);
    if let Some(report) = hello.unconfirmed {
        session.record(report);
    }
    // What it runs is the truth, also when its report was confirmed by a database that was restored since.
    if session.delivery.held().is_some() && session.delivery.held() != outcome.observed {
        let mut record = session.record_of(None, hello.active);
        if let Some(running) = &mut record.running {
            running.from_hello = true;
        }
        session.hub.reports.heard(record, None);
    }
    Ok(session)
}

fn facts(hello: &HelloMessage) -> AttachFacts {
    AttachFacts {
        boot: hello.boot,
        session_counter: hello.session_counter,
        labels: hello.labels.clone(),
        agent_version: hello.agent_version.clone(),
        pinned: hello.pinned,
    }
}

async fn read_hello(hub: &Hub, inbound: &mut Streaming<v1::FromAgent>) -> Result<HelloMessage, End> {
    let patience = hub.timings.hello;
    let first = timeout(patience, inbound.message()).await.map_err(|_| CallError::NoHello(patience))?;
    let message = first.map_err(|failed| hung_up_or(&failed))?.ok_or(End::Quiet)?;
    match message.message {
        Some(from_agent::Message::Hello(hello)) => {
            Ok(HelloMessage::try_from(hello).map_err(CallError::from)?)
        }
        Some(from_agent::Message::Report(_) | from_agent::Message::Heartbeat(_)) | None => {
            Err(CallError::FirstNotHello.into())
        }
    }
}
