//! The engine over one body, off the worker thread where the body is large; a panic in it ends this request alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use policy_engine::{Endpoint, Engine, Inspection, Surroundings, Target};
use tokio::time::Instant;

use super::provider_answer::{self, ENCODED};
use super::record::{Phase, Record};
use super::relay::Content;
use super::reply::{Refusal, Reply};
use super::request::whole;
use crate::activation::live::ActivePolicy;

/// Bodies up to this size are inspected where they were read; larger ones would hold up the other
/// requests of the worker thread.
const INLINE_INSPECTION: usize = 64 * 1024;

/// One request under one policy, for as long as either side has something to say.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) endpoint: Endpoint,
    pub(super) policy: Arc<ActivePolicy>,
    pub(super) around: Arc<dyn Surroundings>,
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn engine(&self) -> &Engine {
        &self.policy.engine
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
    let judged = on_engine(exchange, size, judge).await;
    record.inspected(Phase::Output, began.elapsed());
    judged
}

/// Runs the engine; a panic in it ends this request and nothing else. Fails closed: what a policy
/// could not judge is not passed on.
pub(super) async fn on_engine<T: Send + 'static>(
    exchange: &Exchange,
    size: usize,
    work: impl FnOnce(&Exchange) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = if size <= INLINE_INSPECTION {
        catch_unwind(AssertUnwindSafe(|| work(exchange))).ok()
    } else {
        let exchange = exchange.clone();
        let run = move || catch_unwind(AssertUnwindSafe(|| work(&exchange)));
        tokio::task::spawn_blocking(run).await.ok().and_then(Result::ok)
    };
    outcome.ok_or_else(|| {
        tracing::error!("a policy panicked; the request was refused");
        Refusal::PolicyFailed
    })
}
