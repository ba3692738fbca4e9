//! One request from head to stamped reply: the policy is taken once; probes, the door, or traffic.

use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use serde_json::json;
use service_kit::drain::DrainWatcher;
use uuid::Uuid;

use super::accept::Connection;
use super::record::Record;
use super::relay::{Content, Holds, ReplyBody};
use super::reply::Reply;
use super::route::Route;
use super::serve::check_framing;
use super::trace::Trace;
use super::{Proxy, headers};
use crate::admin::{Admin, Answer, Caller, Route as OrderRoute};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-kt-request-id");
const CONFIG_VERSION: HeaderName = HeaderName::from_static("x-kt-config-version");
const CONFIG_DIGEST: HeaderName = HeaderName::from_static("x-kt-config-digest");
const INSTANCE: HeaderName = HeaderName::from_static("x-kt-instance");

// === impl Proxy ===

impl Proxy {
    /// Answers one request. Never fails: every outcome is a response, stamped and recorded.
    pub(super) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> Response<ReplyBody> {
        let active = connection.activity.begin();
        let (counted, taken) = (self.metrics.hold_request(), connection.taking.begin());
        let policy = self.live.snapshot();
        let now = self.clock.now();
        let id = request_id(now);
        let (head, body) = request.into_parts();
        let route = Route::of(head.uri.path());
        let (version, method) = (head.version, head.method.clone());

        if let Some(probe) = route.filter(|route| route.is_probe() && route.allows(&method)) {
            let reply = self.probe(probe, policy.is_some(), &connection.drain);
            let holds = Holds { record: None, policy, taken, _counted: counted, _active: active };
            return stamp(whole(reply), id, version, holds, &connection.drain);
        }

        if let Some((admin, order)) = self.admit_order(route, &head, connection) {
            // Boxed: each connection keeps room for the largest of its requests, and these are few.
            let answer = Box::pin(admin.answer(order, &method, body, Caller::Token, &connection.drain));
            let reply = of_door(answer.await);
            let policy = self.live.snapshot();
            let holds = Holds { record: None, policy, taken, _counted: counted, _active: active };
            return stamp(whole(reply), id, version, holds, &connection.drain);
        }

        let under = (policy.as_ref(), Trace::of(&head.headers));
        let mut record = Record::begin(self, &connection.decisions, id, now, route, under);
        record.granted().place = Arc::clone(&self.in_flight).try_acquire_owned().ok();
        let served = self.serve(route, (head, body), connection.peer, policy.as_ref(), &mut record).await;
        let mut reply =
            served.unwrap_or_else(|refusal| whole(refusal.into_reply(route.and_then(Route::endpoint))));
        record.write_limits(&mut reply.headers);
        record.answered(reply.status);
        if method == Method::HEAD {
            record.ended(crate::decisions::Ended::Complete);
        }
        let holds = Holds { record: Some(record), policy, taken, _counted: counted, _active: active };
        stamp(reply, id, version, holds, &connection.drain)
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
        let is_sound = !headers::are_too_large(head) && check_framing(head).is_ok();
        is_sound.then_some((admin, order))
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

pub(super) fn whole(reply: Reply) -> Reply<Content> {
    let body = Content::Whole(Some(reply.body).filter(|body| !body.is_empty()));
    Reply { status: reply.status, headers: reply.headers, body }
}

/// What every response carries.
fn stamp(
    reply: Reply<Content>,
    id: Uuid,
    version: Version,
    holds: Holds,
    drain: &DrainWatcher,
) -> Response<ReplyBody> {
    let mut stamped: HeaderMap = reply.headers;
    let mut buffer = Uuid::encode_buffer();
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)) {
        stamped.insert(REQUEST_ID, id);
    }
    if let Some((version, digest)) = holds.policy.as_ref().and_then(|policy| policy.names.headers.as_ref()) {
        stamped.insert(CONFIG_VERSION, version.clone());
        stamped.insert(CONFIG_DIGEST, digest.clone());
    }
    if drain.is_draining() && version < Version::HTTP_2 {
        stamped.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let mut response = Response::new(ReplyBody::new(reply.body, holds));
    *response.status_mut() = reply.status;
    *response.headers_mut() = stamped;
    response
}

/// Version 7. Nobody's safety hangs on it, so its chance comes from the thread and not from the kernel.
fn request_id(now: time::OffsetDateTime) -> Uuid {
    let milliseconds = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let mut chance = [0; 10];
    fastrand::fill(&mut chance);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &chance).into_uuid()
}
