//! One request of traffic: check the head, read the body, input phase, provider, output phase.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Version};
use hyper::body::{Body, Incoming};
use policy_engine::{Engine, KeyState, Target};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::body::{BodyLimits, RequestBody};
use super::inspect::{Exchange, inspect_rejection, inspect_whole, on_engine};
use super::provider_answer::{self, ProviderAnswer, Reading};
use super::record::{Phase, Record};
use super::relay::{Content, Relay};
use super::reply::{Refusal, Reply};
use super::request::whole;
use super::route::Route;
use super::surroundings::RequestSurroundings;
use super::{Proxy, body, headers};
use crate::activation::live::ActivePolicy;

// === impl Proxy ===

impl Proxy {
    pub(super) async fn serve(
        &self,
        route: Option<Route>,
        (head, body): (Parts, Incoming),
        peer: IpAddr,
        policy: Option<&Arc<ActivePolicy>>,
        place: Option<&OwnedSemaphorePermit>,
        record: &mut Record,
    ) -> Result<Reply<Content>, Refusal> {
        if place.is_none() {
            return Err(Refusal::Overloaded);
        }
        match admit(route, &head, policy) {
            Ok((Route::Traffic(endpoint), policy)) => {
                let around = RequestSurroundings::of(head.headers, peer);
                let policy = Arc::clone(policy);
                let exchange =
                    Exchange { endpoint, policy, around: Arc::<RequestSurroundings>::clone(&around) };
                self.exchange(around.headers(), body, exchange, record).await
            }
            Ok((_, policy)) => Ok(whole(models(&policy.engine))),
            Err(refusal) => {
                if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
                    Box::pin(body::discard(body)).await;
                }
                Err(refusal)
            }
        }
    }

    async fn exchange(
        &self,
        client: &HeaderMap,
        body: Incoming,
        exchange: Exchange,
        record: &mut Record,
    ) -> Result<Reply<Content>, Refusal> {
        let limits = BodyLimits {
            size: self.settings.max_body,
            within: self.settings.timeouts.body_read,
            waits: client.contains_key(EXPECT),
        };
        // The share of memory is held until the provider has answered.
        let RequestBody { bytes: body, _share } = body::read(body, limits, &self.body_budget).await?;

        let (inspected, began) = (body.clone(), Instant::now());
        let inspection = on_engine(&exchange, body.len(), move |exchange| {
            exchange.engine().inspect_request(exchange.endpoint, &inspected, exchange.around.as_ref())
        })
        .await?;
        record.inspected(Phase::Input, began.elapsed());
        let inspection = inspection.map_err(|error| Refusal::Invalid { message: error.to_string() })?;
        record.model(&inspection.model);
        record.wants_stream(inspection.stream);
        record.decided(Phase::Input, &inspection);
        let body = inspection.body.map_or(body, Bytes::from);
        record.request_content(&body);
        if let Some(reason) = inspection.block {
            return Err(Refusal::Blocked(reason));
        }

        let Some(target) = exchange.engine().route(&inspection.model) else {
            return Err(Refusal::UnknownModel { model: inspection.model });
        };
        record.target(&target.id.0);
        if let KeyState::Missing(reference) = target.api_key_value() {
            tracing::warn!(target = %target.id, secret = %reference, "a request met a target without its key");
            return Err(Refusal::TargetDown { target: target.id.to_string() });
        }

        let called = Instant::now();
        record.attempts(1);
        let crossing = headers::for_provider(client, record.trace());
        let response = self.upstream.call(target, exchange.endpoint, crossing, body).await?;
        record.heard();
        let reading = Reading {
            inspected: exchange.engine().inspects_responses(),
            limit: self.settings.max_response,
            deadline: called + target.timeout,
        };
        match provider_answer::read(response, target, reading).await? {
            ProviderAnswer::Rejected(reply) => inspect_rejection(reply, &exchange, target, record).await,
            ProviderAnswer::Whole(reply) => inspect_whole(reply, &exchange, record).await,
            ProviderAnswer::Stream(reply) => Ok(self.relay(reply, exchange.clone(), target)),
        }
    }

    fn relay(&self, reply: Reply<Incoming>, exchange: Exchange, target: &Target) -> Reply<Content> {
        let total = self.settings.timeouts.stream_total;
        let relay = Relay::new(reply.body, exchange, target.id.to_string(), target.timeout, total);
        Reply { status: reply.status, headers: reply.headers, body: Content::Stream(Box::new(relay)) }
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
pub(super) fn check_framing(head: &Parts) -> Result<(), Refusal> {
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

/// OpenAI's list of models: what the active pack routes, globs as written.
fn models(engine: &Engine) -> Reply {
    let entry = |model: &str| json!({"id": model, "object": "model", "created": 0, "owned_by": "kt-gateway"});
    let data: Vec<_> = engine.models().map(entry).collect();
    Reply::json(StatusCode::OK, &json!({"object": "list", "data": data}))
}
