//! One request of traffic: check the head, read the body, input phase, provider (one or
//! several), output phase.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{EXPECT, HOST};
use http::request::Parts;
use http::{HeaderMap, Version};
use hyper::body::{Body, Incoming};
use policy_engine::Target;
use tokio::time::Instant;

use super::attempts::{Answered, Question};
use super::body::BodyLimits;
use super::inspect::{Exchange, inspect_rejection, inspect_whole, on_engine};
use super::limits::Cost;
use super::provider_answer::{ProviderAnswer, is_encoded};
use super::record::{Phase, Record};
use super::relay::{Content, Relay};
use super::reply::{Refusal, Reply};
use super::request::whole;
use super::route::Route;
use super::surroundings::RequestSurroundings;
use super::targets::StreamPermit;
use super::upstream::AnswerBody;
use super::{Proxy, body, headers, models};
use crate::activation::live::ActivePolicy;

// === impl Proxy ===

impl Proxy {
    pub(super) async fn serve(
        &self,
        route: Option<Route>,
        (head, body): (Parts, Incoming),
        peer: IpAddr,
        policy: Option<&Arc<ActivePolicy>>,
        record: &mut Record,
    ) -> Result<Reply<Content>, Refusal> {
        if record.granted().place.is_none() {
            self.metrics.request_shed();
            if is_sending(&head, &body) {
                Box::pin(self.body_budget.turn_away(body)).await;
            }
            return Err(Refusal::Overloaded);
        }
        match admit(route, &head, policy) {
            Ok((Route::Traffic(endpoint), policy)) => {
                let around = RequestSurroundings::of(head.headers, peer, &self.meters);
                let policy = Arc::clone(policy);
                let exchange =
                    Exchange { endpoint, policy, around: Arc::<RequestSurroundings>::clone(&around) };
                self.exchange(around.headers(), body, exchange, record).await
            }
            Ok((route, policy)) => {
                let around = RequestSurroundings::of(head.headers.clone(), peer, &self.meters);
                models::answer(route, &head, &policy.engine, around.as_ref()).map(whole)
            }
            Err(refusal) => {
                if is_sending(&head, &body) {
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
        let body = body::read(body, limits, &self.body_budget).await?;

        let (inspected, began) = (body.clone(), Instant::now());
        let inspection = on_engine(&exchange, body.len(), record.lends(), move |exchange| {
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

        let candidates = exchange
            .engine()
            .candidates(exchange.endpoint, &inspection.model, |target| {
                inspection.targets.as_ref().is_none_or(|filter| filter.permits(&target.0))
            })
            .map_err(|none| Refusal::no_target(none, inspection.model))?;
        let mut headers = headers::for_provider(client, record.trace());
        headers::remove(&mut headers, exchange.engine().identity_headers());
        let question = Question { candidates, headers, body };
        let Answered { answer, target, permit } = self.ask(&exchange, question, record).await?;
        match answer {
            ProviderAnswer::Rejected(reply) => inspect_rejection(reply, &exchange, target, record).await,
            ProviderAnswer::Whole(reply) => {
                record.costs(Some(Cost::Whole));
                inspect_whole(reply, &exchange, record).await
            }
            ProviderAnswer::Stream(reply) => {
                record.costs(Some(Cost::Stream));
                Ok(self.relay(reply, exchange.clone(), target, permit))
            }
        }
    }

    fn relay(
        &self,
        reply: Reply<AnswerBody>,
        exchange: Exchange,
        target: &Target,
        permit: Option<StreamPermit>,
    ) -> Reply<Content> {
        let total = self.settings.timeouts.stream_total;
        let watched = permit.map(|permit| (permit, Arc::clone(&self.targets)));
        let timeouts = (target.timeouts.idle, total);
        let relay = Relay::new(reply.body, exchange, target.id.to_string(), timeouts, watched)
            .encoded(is_encoded(&reply.headers));
        Reply { status: reply.status, headers: reply.headers, body: Content::Stream(Box::new(relay)) }
    }
}

/// Whether its client sends the body without being told to go on.
fn is_sending(head: &Parts, body: &Incoming) -> bool {
    !body.is_end_stream() && !head.headers.contains_key(EXPECT)
}

/// Everything about a request that is known before its body.
fn admit<'a>(
    route: Option<Route>,
    head: &Parts,
    policy: Option<&'a Arc<ActivePolicy>>,
) -> Result<(Route, &'a Arc<ActivePolicy>), Refusal> {
    if headers::are_too_large(head) {
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

/// Heads that two servers in a row may read differently; what the parser would not tell us of was looked at before it
/// (`lines`).
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
    Ok(())
}
