//! What the database knows of a stream, and what waits until it does. A stream that opened while the database was away
//! attaches when it is back; every stream that lived through that time proves its credential again.

use std::pin::Pin;
use std::sync::Arc;

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;
use fleet_core::version::Generation;
use proto::convert::reports::{ReportMessage, Running};
use service_kit::backoff::Backoff;
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};

use super::super::Hub;
use super::super::outbound::End;
use super::UNCONFIRMED;
use crate::api::call_error::CallError;
use crate::api::{Proof, status};
use crate::operations::{self, AttachFacts, AttachOutcome, OperationError};
use crate::store::StoreError;

/// Whose stream it is, and what proved it.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) gateway: GatewayId,
    pub(crate) path: GatewayPath,
    pub(crate) proof: Proof,
}

/// A change in what the database knows.
#[derive(Debug)]
pub(super) enum Change {
    /// It is away: from here on it knows nothing new.
    Away,
    /// It is back, and still knows this agent.
    Known,
    /// It is back, and knows this stream.
    Attached(Box<AttachOutcome>),
}

/// Waits for the changes, one after the other.
pub(super) struct Settling {
    hub: Arc<Hub>,
    agent: Agent,
    /// Until the stream is attached.
    facts: Option<AttachFacts>,
    settled: bool,
    next: Pin<Box<dyn Future<Output = Result<Change, End>> + Send>>,
    pub(super) waiting: Waiting,
}

/// What was heard since the database knew everything.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) reports: Vec<ReportMessage>,
    pub(super) running: Option<Running>,
    /// Not offered because the agent said that it refused it; whether that still stands is the database's to say.
    pub(super) presumed: Option<Generation>,
}

/// A task that ends with whoever waits for it.
struct Aborted<T>(JoinHandle<T>);

/// After a statement failed although the database is there: of a disk that is full, every stream will ask again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

// === impl Settling ===

impl Settling {
    /// `facts`: of a stream that is not attached yet.
    pub(super) fn new(hub: &Arc<Hub>, agent: &Agent, facts: Option<AttachFacts>) -> Self {
        let mut settling = Self {
            hub: hub.clone(),
            agent: agent.clone(),
            settled: facts.is_none(),
            facts,
            next: Box::pin(std::future::pending()),
            waiting: Waiting::default(),
        };
        settling.expect();
        settling
    }

    /// Whether the database knows of this stream all that there is.
    pub(super) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// The next change. Nothing is lost when the wait for it is given up.
    ///
    /// # Errors
    /// The database refuses the stream: it ends.
    pub(super) async fn next(&mut self) -> Result<Change, End> {
        let change = self.next.as_mut().await;
        match &change {
            Ok(Change::Away) => self.settled = false,
            Ok(Change::Attached(_)) => {
                self.settled = true;
                self.facts = None;
            }
            Ok(Change::Known) => self.settled = true,
            Err(_) => {}
        }
        self.expect();
        change
    }

    fn expect(&mut self) {
        let (hub, agent, facts) = (self.hub.clone(), self.agent.clone(), self.facts.clone());
        self.next = if self.settled {
            // From now on, also while the session waits for its peer to read.
            let away = hub.context.store.until_away();
            Box::pin(async move {
                away.await;
                Ok(Change::Away)
            })
        } else {
            // A task: a session that waits for its peer to read keeps neither a turn nor a transaction open.
            let mut task = Aborted(self.hub.drain.spawn("settling", settle(hub, agent, facts)));
            Box::pin(async move { (&mut task.0).await.unwrap_or(Err(End::Quiet)) })
        };
    }
}

// === impl Waiting ===

impl Waiting {
    /// Keeps a report; beyond some it is as if it was not heard, and the agent says it again.
    pub(super) fn keep(&mut self, report: ReportMessage) {
        let known = |held: &ReportMessage| held.offer == report.offer && held.generation == report.generation;
        if self.reports.len() < UNCONFIRMED && !self.reports.iter().any(known) {
            self.reports.push(report);
        }
    }
}

// === impl Aborted ===

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tries until the database has said what it thinks of the stream.
async fn settle(hub: Arc<Hub>, agent: Agent, facts: Option<AttachFacts>) -> Result<Change, End> {
    let mut pauses = Backoff::full_jitter(FIRST_PAUSE, LONGEST_PAUSE, fastrand::u64(..));
    loop {
        hub.context.store.until_there().await;
        match try_to_settle(&hub, &agent, facts.clone()).await {
            Err(OperationError::Store(StoreError::Unavailable(error))) => {
                tracing::debug!(gateway = %agent.path, %error, "the stream is not settled yet");
                sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
            Ok(Some(change)) => return Ok(change),
            Ok(None) => return Err(CallError::WrongCredential.into()),
            Err(error) => return Err(End::Told(status::refuse(error))),
        }
    }
}

/// `None`: the credential was replaced meanwhile.
async fn try_to_settle(
    hub: &Hub,
    agent: &Agent,
    facts: Option<AttachFacts>,
) -> Result<Option<Change>, OperationError> {
    if !is_holder(hub, agent).await? {
        return Ok(None);
    }
    let Some(facts) = facts else { return Ok(Some(Change::Known)) };
    let _turn = hub.attaching.turn(&hub.context.store).await?;
    let outcome = operations::attach_gateway(&hub.context, agent.gateway, facts).await?;
    Ok(Some(Change::Attached(Box::new(outcome))))
}

/// Whether the database says that this agent's credential is its gateway's.
pub(super) async fn is_holder(hub: &Hub, agent: &Agent) -> Result<bool, StoreError> {
    let holder = hub.agents.look_up(agent.proof.token).await?;
    Ok(holder.is_some_and(|(gateway, _)| gateway == agent.gateway))
}
