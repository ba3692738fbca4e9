//! From the first message to the Welcome: who it is, what it holds, what it should run.

use std::sync::Arc;

use fleet_core::delivery::{Delivery, Opening, StoredRefusal};
use fleet_core::stable::Seen;
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
use super::settling::{Agent, Settling, is_holder};
use super::{Session, UNCONFIRMED, hung_up_or, lineage};
use crate::api::call_error::CallError;
use crate::api::limits::MESSAGES;
use crate::operations::{self, AttachFacts, AttachOutcome, LocalPack, OperationError};
use crate::store::StoreError;
use service_kit::bucket::Bucket;

/// Reads the Hello, attaches the gateway and answers the Welcome.
pub(super) async fn open(
    hub: &Arc<Hub>,
    agent: &Agent,
    inbound: &mut Streaming<v1::FromAgent>,
    outbound: &Outbound,
) -> Result<Session, End> {
    let hello = tokio::select! {
        () = hub.drain.signaled() => return Err(CallError::Draining.into()),
        hello = read_hello(hub, inbound) => hello?,
    };
    let (gateway, path) = (agent.gateway, &agent.path);
    // Watched before the store is read, so that no change falls between.
    let cell = hub.board.watch(gateway);
    let fence = Fence { boot: hello.boot, counter: hello.session_counter };
    let outcome = attach(hub, agent, &hello, outbound).await?;
    let settling = Settling::new(hub, agent, outcome.is_none().then(|| facts(hub, &hello)));
    let attached = outcome.is_some();
    let (desired, observed, refusal) = match outcome {
        Some(outcome) => (outcome.desired, outcome.observed, outcome.refusal),
        None => (None, None, last_refused(hub, &hello)),
    };
    let seat = match hub.sessions.enter(gateway, fence) {
        Ok(seat) => seat,
        Err(error) => {
            if attached {
                hub.presence.left(gateway, fence);
            }
            return Err(error.into());
        }
    };
    if let Some(desired) = desired {
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
        if attached && seat.is_newest() {
            hub.presence.left(gateway, fence);
        }
        return Err(end);
    }
    let (confirm, confirmed) = mpsc::channel(UNCONFIRMED);
    let mut session = Session {
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
            refusal: refusal.clone(),
        }),
        settling,
        cell,
        confirm,
        confirmed,
        last_heard: Instant::now(),
        messages: Bucket::full(MESSAGES, Instant::now()),
        ends_at: Instant::now() + hub.timings.stream_age.mul_f64(0.9 + 0.2 * fastrand::f64()),
        returns: false,
        retry_at: None,
    };
    if attached {
        hub.presence.seen(gateway, fence);
    } else {
        session.settling.waiting.presumed = refusal.map(|refusal| refusal.generation);
        // What it runs of another lineage is nothing here, whatever its number.
        session.settling.waiting.running =
            hello.active.clone().filter(|_| hello.lineage == Some(lineage(hub)));
    }
    if let Some(report) = hello.unconfirmed {
        session.record(report);
    }
    // What it runs is the truth, also when its report was confirmed by a database that was restored since.
    if attached && session.delivery.held().is_some() && session.delivery.held() != observed {
        session.hub.reports.heard(session.told_at_the_opening(hello.active), None);
    }
    Ok(session)
}

/// `None`: the database does not take the stream now, away or not, and it lives from memory until it is taken.
async fn attach(
    hub: &Hub,
    agent: &Agent,
    hello: &HelloMessage,
    outbound: &Outbound,
) -> Result<Option<AttachOutcome>, End> {
    let store = &hub.context.store;
    let attached = tokio::select! {
        biased;
        attached = attach_in_turn(hub, agent, hello, outbound) => attached,
        _ = store.until_away_after_doubt() => Err(StoreError::away().into()),
    };
    match attached {
        Ok(outcome) => outcome.map(Some),
        Err(OperationError::Store(StoreError::Unavailable(error))) => {
            tracing::info!(gateway = %agent.path, %error,
                "the database does not take the stream now; it is served from memory");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Fails with the database; the inner error is the stream's.
async fn attach_in_turn(
    hub: &Hub,
    agent: &Agent,
    hello: &HelloMessage,
    outbound: &Outbound,
) -> Result<Result<AttachOutcome, End>, OperationError> {
    // It may have kept its Hello back until the database returned: whoever was let in from memory displaces nobody
    // before the database has said whose the credential is.
    if agent.proof.recalled && !is_holder(hub, agent).await? {
        return Ok(Err(CallError::WrongCredential.into()));
    }
    let _turn = tokio::select! {
        biased;
        () = outbound.closed() => return Ok(Err(End::Quiet)),
        turn = hub.attaching.turn(&hub.context.store) => turn?,
    };
    operations::attach_gateway(&hub.context, agent.gateway, facts(hub, hello)).await.map(Ok)
}

/// A refusal that only the agent remembers, or that the database cannot be asked for.
fn last_refused(hub: &Hub, hello: &HelloMessage) -> Option<StoredRefusal> {
    let (held, reason) = hello.last_refused.as_ref().filter(|_| hello.lineage == Some(lineage(hub)))?;
    Some(StoredRefusal {
        generation: held.generation,
        stage: reason.stage,
        boot: hello.boot,
        agent_version: hello.agent_version.clone(),
    })
}

fn facts(hub: &Hub, hello: &HelloMessage) -> AttachFacts {
    let seen = if hello.lineage == Some(lineage(hub)) {
        let runs = hello.active.as_ref().map(|running| running.held);
        let refused = hello.last_refused.as_ref().map(|(held, _)| *held);
        Seen { highest: hello.highest, known: runs.into_iter().chain(refused).collect() }
    } else {
        Seen::default()
    };
    AttachFacts {
        boot: hello.boot,
        session_counter: hello.session_counter,
        labels: hello.labels.clone(),
        agent_version: hello.agent_version.clone(),
        pinned: hello.pinned,
        local: hello.local.as_ref().map(|pack| LocalPack {
            digest: pack.digest,
            version: pack.version.to_string(),
            ago: pack.age,
        }),
        seen,
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
