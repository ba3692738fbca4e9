//! The engine over one body, off the worker thread where the body is large; a panic in it ends this request alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use policy_engine::{Endpoint, Engine, Inspection, Surroundings, Target};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::provider_answer::{self, ENCODED};
use super::record::{Phase, Record};
use super::relay::Content;
use super::reply::{Refusal, Reply};
use super::request::whole;
use super::targets::Lane;
use crate::activation::live::ActivePolicy;

/// Bodies up to this size are inspected where they were read; larger ones would hold up the other
/// requests of the worker thread.
pub(super) const INLINE_INSPECTION: usize = 64 * 1024;

/// One request under one policy, for as long as either side has something to say.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) endpoint: Endpoint,
    pub(super) policy: Arc<ActivePolicy>,
    pub(super) around: Arc<dyn Surroundings>,
}

/// What a request was granted, given back with it. Work that goes on without its client holds it as well: what a client
/// that left still costs is within the limits.
#[derive(Default)]
pub(super) struct Granted {
    /// Among the requests in flight.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn engine(&self) -> &Engine {
        &self.policy.engine
    }

    /// What is known of a target that was called.
    pub(super) fn lane(&self, target: &str) -> Option<&Lane> {
        let index = self.engine().targets().iter().position(|known| known.id.0 == target)?;
        self.policy.stations.get()?.get(index).map(|station| station.lane().as_ref())
    }
}

/// The output phase over a whole response.
pub(super) async fn inspect_whole(
    mut reply: Reply,
    exchange: &Exchange,
    record: &mut Record,
) -> Result<Reply<Content>, Refusal> {
    let engine = exchange.engine();
    let inspection = if !engine.inspects_responses() {
        engine.pass_response(&reply.body)
    } else if provider_answer::is_encoded(&reply.headers) {
        engine.unread_response(ENCODED)
    } else {
        judge_response(exchange, reply.body.clone(), record).await?
    };
    record.decided(Phase::Output, &inspection);
    if let Some(reason) = inspection.block {
        return Err(Refusal::Blocked(reason));
    }
    if let Some(body) = inspection.body {
        reply.body = Bytes::from(body);
    }
    Ok(whole(reply))
}

/// The output phase over a provider's refusal of the request: some quote what the model had begun to say.
/// The status stays, because SDKs act on it; words that a policy blocks do not.
pub(super) async fn inspect_rejection(
    mut reply: Reply,
    exchange: &Exchange,
    target: &Target,
    record: &mut Record,
) -> Result<Reply<Content>, Refusal> {
    if exchange.engine().inspects_responses() {
        let inspection = judge_response(exchange, reply.body.clone(), record).await?;
        record.decided(Phase::Output, &inspection);
        if inspection.block.is_some() {
            reply = provider_answer::without_words(reply.status, reply.headers, target);
        } else if let Some(body) = inspection.body {
            reply.body = Bytes::from(body);
        }
    }
    Ok(whole(reply))
}

async fn judge_response(
    exchange: &Exchange,
    body: Bytes,
    record: &mut Record,
) -> Result<Inspection, Refusal> {
    let (size, began) = (body.len(), Instant::now());
    let judge = move |exchange: &Exchange| {
        exchange.engine().inspect_response(exchange.endpoint, &body, exchange.around.as_ref())
    };
    let judged = on_engine(exchange, size, record.lends(), judge).await;
    record.inspected(Phase::Output, began.elapsed());
    judged
}

/// Runs the engine; a panic in it ends this request and nothing else. Fails closed: what a policy
/// could not judge is not passed on.
///
/// Large bodies take `turns`, about as many as there are cores. Waiting for one is part of the request and ends with it;
/// work that has begun cannot be stopped, and keeps what the request was granted until it is done.
pub(super) async fn on_engine<T: Send + 'static>(
    exchange: &Exchange,
    size: usize,
    (turns, granted): (&Arc<Semaphore>, &mut Granted),
    work: impl FnOnce(&Exchange) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = if size <= INLINE_INSPECTION {
        catch_unwind(AssertUnwindSafe(|| work(exchange))).ok()
    } else {
        let turn = Arc::clone(turns).acquire_owned().await.map_err(|_| Refusal::PolicyFailed)?;
        let (exchange, held) = (exchange.clone(), std::mem::take(granted));
        let (done, outcome) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            if done.is_closed() {
                return;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&exchange)));
            // Dropped with all that is held if nobody waits any more.
            let _ = done.send((outcome, held));
        });
        outcome.await.ok().and_then(|(outcome, held)| {
            *granted = held;
            outcome.ok()
        })
    };
    outcome.ok_or_else(|| {
        tracing::error!("a policy panicked; the request was refused");
        Refusal::PolicyFailed
    })
}
