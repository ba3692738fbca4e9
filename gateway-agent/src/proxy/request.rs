//! One request: take the policy once, check the head, read the body, input phase, provider, output phase.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use policy_engine::{Engine, KeyState, Target};
use serde_json::json;
use service_kit::drain::DrainWatcher;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use uuid::{NoContext, Timestamp, Uuid};

use super::accept::Connection;
use super::body::{BodyLimits, RequestBody};
use super::provider_answer::{self, ProviderAnswer, Reading};
use super::record::{Phase, Record};
use super::relay::{Content, Holds, Relay, ReplyBody};
use super::reply::{Refusal, Reply};
use super::route::Route;
use super::{Proxy, body, headers};
use crate::activation::live::ActivePolicy;
use crate::admin::{Admin, Answer, Caller, Route as OrderRoute};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-kt-request-id");
const CONFIG_VERSION: HeaderName = HeaderName::from_static("x-kt-config-version");
const CONFIG_DIGEST: HeaderName = HeaderName::from_static("x-kt-config-digest");
const INSTANCE: HeaderName = HeaderName::from_static("x-kt-instance");

/// Bodies up to this size are inspected where they were read; larger ones would hold up the other
/// requests of the worker thread.
const INLINE_INSPECTION: usize = 64 * 1024;

// === impl Proxy ===

impl Proxy {
    /// Answers one request. Never fails: every outcome is a response, stamped and recorded.
    pub(super) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> Response<ReplyBody> {
        let active = connection.activity.begin();
        let counted = self.metrics.hold_request();
        let policy = self.live.snapshot();
        let now = self.clock.now();
        let id = request_id(now);
        let (head, body) = request.into_parts();
        let route = Route::of(head.uri.path());
        let (version, method) = (head.version, head.method.clone());

        if let Some(probe) = route.filter(|route| route.is_probe() && route.allows(&method)) {
            let reply = self.probe(probe, policy.is_some(), &connection.drain);
            let holds = Holds { record: None, policy, _place: None, _counted: counted, _active: active };
            return stamp(whole(reply), &id, version, holds, &connection.drain);
        }

        if let Some((admin, order)) = self.admit_order(route, &head, connection) {
            let reply = of_door(admin.answer(order, &method, body, Caller::Token, &connection.drain).await);
            let policy = self.live.snapshot();
            let holds = Holds { record: None, policy, _place: None, _counted: counted, _active: active };
            return stamp(whole(reply), &id, version, holds, &connection.drain);
        }

        let mut record = Record::begin(self, &connection.decisions, &id, now, route, policy.as_deref());
        let place = Arc::clone(&self.in_flight).try_acquire_owned().ok();
        let served = self.serve(route, head, body, policy.as_ref(), place.as_ref(), &mut record).await;
        let reply = served.unwrap_or_else(|refusal| whole(refusal.into_reply()));
        record.answered(reply.status);
        if method == Method::HEAD {
            record.ended(crate::decisions::Ended::Complete);
        }
        let holds = Holds { record: Some(record), policy, _place: place, _counted: counted, _active: active };
        stamp(reply, &id, version, holds, &connection.drain)
    }

    /// Only what is no route of traffic may be one of the door; what is neither is the same 404 to everybody.
    fn admit_order(
        &self,
        route: Option<Route>,
        head: &Parts,
        connection: &Connection,
    ) -> Option<(&Arc<Admin>, OrderRoute)> {
        let admin = self.admin.as_ref().filter(|_| route.is_none())?;
        let order = admin.admit(connection.peer, head)?;
        let is_sound = !headers::are_too_large(&head.headers) && check_framing(head).is_ok();
        is_sound.then_some((admin, order))
    }

    async fn serve(
        &self,
        route: Option<Route>,
        head: Parts,
        body: Incoming,
        policy: Option<&Arc<ActivePolicy>>,
        place: Option<&OwnedSemaphorePermit>,
        record: &mut Record,
    ) -> Result<Reply<Content>, Refusal> {
        if place.is_none() {
            return Err(Refusal::Overloaded);
        }
        match admit(route, &head, policy) {
            Ok((Route::ChatCompletions, policy)) => self.chat_completions(head, body, policy, record).await,
            Ok((_, policy)) => Ok(whole(models(&policy.engine))),
            Err(refusal) => {
                if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
                    body::discard(body).await;
                }
                Err(refusal)
            }
        }
    }

    async fn chat_completions(
        &self,
        head: Parts,
        body: Incoming,
        policy: &Arc<ActivePolicy>,
        record: &mut Record,
    ) -> Result<Reply<Content>, Refusal> {
        let limits = BodyLimits {
            size: self.settings.max_body,
            within: self.settings.timeouts.body_read,
            waits: head.headers.contains_key(EXPECT),
        };
        // The share of memory is held until the provider has answered.
        let RequestBody { bytes: body, _share } = body::read(body, limits, &self.body_budget).await?;

        let inspected = body.clone();
        let inspection =
            on_engine(policy, body.len(), move |engine| engine.inspect_request(&inspected)).await?;
        let inspection = inspection.map_err(|error| Refusal::Invalid { message: error.to_string() })?;
        record.model(&inspection.model);
        record.decided(Phase::Input, &inspection);
        let body = inspection.body.map_or(body, Bytes::from);
        record.request_content(&body);
        if let Some(reason) = inspection.block {
            return Err(Refusal::Blocked(reason));
        }

        let Some(target) = policy.engine.route(&inspection.model) else {
            return Err(Refusal::UnknownModel { model: inspection.model });
        };
        record.target(&target.id.0);
        if let KeyState::Missing(reference) = target.api_key_value() {
            tracing::warn!(target = %target.id, secret = %reference, "a request met a target without its key");
            return Err(Refusal::TargetDown { target: target.id.to_string() });
        }

        let called = Instant::now();
        let response =
            self.upstream.chat_completions(target, headers::for_provider(head.headers), body).await?;
        self.metrics.upstream_answered(called.elapsed());
        let reading = Reading {
            inspected: policy.engine.inspects_responses(),
            limit: self.settings.max_response,
            deadline: called + target.timeout,
        };
        match provider_answer::read(response, target, reading).await? {
            ProviderAnswer::Rejected(reply) => inspect_rejection(reply, policy, target, record).await,
            ProviderAnswer::Whole(reply) => inspect_whole(reply, policy, record).await,
            ProviderAnswer::Stream(reply) => Ok(self.relay(reply, policy, target)),
        }
    }

    fn relay(&self, reply: Reply<Incoming>, policy: &Arc<ActivePolicy>, target: &Target) -> Reply<Content> {
        let total = self.settings.timeouts.stream_total;
        let relay = Relay::new(reply.body, policy, target.id.to_string(), target.timeout, total);
        Reply { status: reply.status, headers: reply.headers, body: Content::Stream(Box::new(relay)) }
    }

    fn probe(&self, probe: Route, has_policy: bool, drain: &DrainWatcher) -> Reply {
        let mut awaited = Vec::new();
        if probe == Route::Readyz {
            awaited = self.readiness.waiting_on();
            if drain.is_draining() {
                awaited.push("shutdown");
            } else if !has_policy && awaited.is_empty() {
                awaited.push("first policy pack");
            }
        }
        let (status, word) = match (probe, awaited.is_empty()) {
            (Route::Readyz, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
            (Route::Readyz, true) => (StatusCode::OK, "ready"),
            _ => (StatusCode::OK, "ok"),
        };
        let mut reply = Reply::json(status, &json!({"status": word, "waiting_on": awaited}));
        // `Proxy::new` has checked that the name is a header value.
        if let Ok(name) = HeaderValue::from_str(&self.settings.instance) {
            reply.headers.insert(INSTANCE, name);
        }
        reply
    }
}

/// Everything about a request that is known before its body.
fn admit<'a>(
    route: Option<Route>,
    head: &Parts,
    policy: Option<&'a Arc<ActivePolicy>>,
) -> Result<(Route, &'a Arc<ActivePolicy>), Refusal> {
    if headers::are_too_large(&head.headers) {
        return Err(Refusal::HeadersTooLarge);
    }
    check_framing(head)?;
    let route = route.ok_or(Refusal::UnknownPath)?;
    if !route.allows(&head.method) {
        return Err(Refusal::Method { allow: route.methods() });
    }
    let policy = policy.ok_or(Refusal::NoPolicy)?;
    if !policy.engine.is_enabled() {
        return Err(Refusal::PackDisabled);
    }
    body::check_head(&head.headers)?;
    Ok((route, policy))
}

/// Heads that two servers in a row may read differently.
fn check_framing(head: &Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Head { message: "the request has more than one host header" });
    }
    if head.version == Version::HTTP_11 && host.is_none() {
        return Err(Refusal::Head { message: "the request has no host header" });
    }
    if let (Some(authority), Some(host)) = (head.uri.authority(), host)
        && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Err(Refusal::Head { message: "the request names two different hosts" });
    }
    if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.contains_key(CONTENT_LENGTH) {
        return Err(Refusal::Head { message: "the request has both content-length and transfer-encoding" });
    }
    Ok(())
}

/// The output phase over a whole response.
async fn inspect_whole(
    mut reply: Reply,
    policy: &Arc<ActivePolicy>,
    record: &mut Record,
) -> Result<Reply<Content>, Refusal> {
    let inspection = if policy.engine.inspects_responses() {
        let inspected = reply.body.clone();
        on_engine(policy, reply.body.len(), move |engine| engine.inspect_response(&inspected)).await?
    } else {
        policy.engine.pass_response()
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
async fn inspect_rejection(
    mut reply: Reply,
    policy: &Arc<ActivePolicy>,
    target: &Target,
    record: &mut Record,
) -> Result<Reply<Content>, Refusal> {
    if policy.engine.inspects_responses() {
        let inspected = reply.body.clone();
        let inspection =
            on_engine(policy, reply.body.len(), move |engine| engine.inspect_response(&inspected)).await?;
        record.decided(Phase::Output, &inspection);
        if inspection.block.is_some() {
            reply = provider_answer::without_words(reply.status, reply.headers, target);
        } else if let Some(body) = inspection.body {
            reply.body = Bytes::from(body);
        }
    }
    Ok(whole(reply))
}

/// Runs the engine; a panic in it ends this request and nothing else. Fails closed: what a policy
/// could not judge is not passed on.
pub(super) async fn on_engine<T: Send + 'static>(
    policy: &Arc<ActivePolicy>,
    size: usize,
    work: impl FnOnce(&Engine) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let policy = Arc::clone(policy);
    let run = move || catch_unwind(AssertUnwindSafe(|| work(&policy.engine)));
    let outcome = if size <= INLINE_INSPECTION {
        run().ok()
    } else {
        tokio::task::spawn_blocking(run).await.ok().and_then(Result::ok)
    };
    outcome.ok_or_else(|| {
        tracing::error!("a policy panicked; the request was refused");
        Refusal::PolicyFailed
    })
}

/// OpenAI's list of models: what the active pack routes, globs as written.
fn models(engine: &Engine) -> Reply {
    let entry = |model: &str| json!({"id": model, "object": "model", "created": 0, "owned_by": "kt-gateway"});
    let data: Vec<_> = engine.models().map(entry).collect();
    Reply::json(StatusCode::OK, &json!({"object": "list", "data": data}))
}

/// An answer of the door, as the data port sends it.
fn of_door(answer: Answer) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = answer.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    Reply { status: answer.status, headers, body: answer.body }
}

fn whole(reply: Reply) -> Reply<Content> {
    let body = Content::Whole(Some(reply.body).filter(|body| !body.is_empty()));
    Reply { status: reply.status, headers: reply.headers, body }
}

/// What every response carries.
fn stamp(
    reply: Reply<Content>,
    id: &str,
    version: Version,
    holds: Holds,
    drain: &DrainWatcher,
) -> Response<ReplyBody> {
    let mut stamped: HeaderMap = reply.headers;
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            stamped.insert(name, value);
        }
    };
    put(REQUEST_ID, id);
    if let Some(policy) = &holds.policy {
        put(CONFIG_VERSION, &policy.version.to_string());
        put(CONFIG_DIGEST, &policy.digest.to_string());
    }
    if drain.is_draining() && version < Version::HTTP_2 {
        put(CONNECTION, "close");
    }
    let mut response = Response::new(ReplyBody::new(reply.body, holds));
    *response.status_mut() = reply.status;
    *response.headers_mut() = stamped;
    response
}

fn request_id(now: time::OffsetDateTime) -> String {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond())).to_string()
}
