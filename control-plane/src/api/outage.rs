//! What a call gets while the database is away: orders are refused with the reason, reads are answered from memory
//! and say as of when. Nothing waits for a database that is known to be away, and nothing for long before it is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use proto::STALE_SINCE;
use service_kit::clock::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::answers::{Answer, Answers, Question};
use super::call_error::{CallError, Unanswered};
use super::rules::{self, Need, Rule};
use super::status;
use crate::operations::{self, Principal};
use crate::store::{Away, Store, StoreError};

#[derive(Debug, Clone)]
pub(crate) struct OutageLayer {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
pub(crate) struct Outage<S> {
    shared: Arc<Shared>,
    inner: S,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Clock,
    answers: Answers,
}

// === impl OutageLayer ===

impl OutageLayer {
    pub(crate) fn new(context: &operations::Context) -> Self {
        let (store, clock) = (context.store.clone(), context.clock.clone());
        Self { shared: Arc::new(Shared { store, clock, answers: Answers::new() }) }
    }
}

impl<S> Layer<S> for OutageLayer {
    type Service = Outage<S>;

    fn layer(&self, inner: S) -> Outage<S> {
        Outage { shared: self.shared.clone(), inner }
    }
}

// === impl Outage ===

impl<S> Service<Request<Body>> for Outage<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that was polled ready is the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let shared = self.shared.clone();
        Box::pin(async move {
            match rules::of_path(request.uri().path()) {
                Some(rule) if rule.need == Need::Question => shared.ask(rule, request, inner).await,
                Some(rule) if rule.need == Need::Order => shared.order(request, inner).await,
                Some(_) | None => inner.call(request).await,
            }
        })
    }
}

// === impl Shared ===

impl Shared {
    async fn order<S>(&self, request: Request<Body>, mut inner: S) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        if let Some(away) = self.store.away() {
            return Ok(refuse(away.since, Unanswered::NotBegun));
        }
        let response = tokio::select! {
            biased;
            response = inner.call(request) => response?,
            away = self.store.until_away_after_doubt() => return Ok(refuse(away.since, Unanswered::Begun)),
        };
        if status::says_database_away(response.headers())
            && let Some(away) = self.store.look_now().await
        {
            return Ok(refuse(away.since, Unanswered::Begun));
        }
        Ok(response)
    }

    async fn ask<S>(
        &self,
        rule: Rule,
        request: Request<Body>,
        mut inner: S,
    ) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let (question, request) = match question(rule, request).await {
            Ok(asked) => asked,
            Err(error) => return Ok(status::respond(status::refuse(error))),
        };
        if let Some(away) = self.store.away() {
            return Ok(self.recall(&question, away));
        }
        // Before the database is asked: what it answers is never older than this says.
        let as_of = self.clock.now();
        let response = tokio::select! {
            biased;
            response = inner.call(request) => response?,
            away = self.store.until_away_after_doubt() => return Ok(self.recall(&question, away)),
        };
        if status::says_database_away(response.headers())
            && let Some(away) = self.store.look_now().await
        {
            return Ok(self.recall(&question, away));
        }
        if Status::from_header_map(response.headers()).is_some() {
            return Ok(response);
        }
        let answer = match answer(as_of, response).await {
            Ok(answer) => answer,
            Err(status) => return Ok(status::respond(status)),
        };
        if Status::from_header_map(&answer.trailers).is_some_and(|said| said.code() == tonic::Code::Ok) {
            self.answers.keep(question, answer.clone());
        }
        Ok(answer.respond())
    }

    /// What was answered to this before, unless it can be asked anew.
    fn recall(&self, question: &Question, away: Away) -> Response<Body> {
        if self.store.away().is_none() {
            return status::respond(status::refuse(StoreError::away()));
        }
        let since = away.since;
        let Some(answer) = self.answers.find(question) else {
            return refuse(since, Unanswered::NeverAsked);
        };
        let as_of = rfc3339(answer.as_of);
        let mut response = answer.respond();
        match HeaderValue::from_str(&as_of) {
            Ok(value) => response.headers_mut().insert(STALE_SINCE, value),
            // An answer that cannot say that it is old is none.
            Err(_) => return refuse(since, Unanswered::NeverAsked),
        };
        metrics::counter!(crate::metrics::STALE_ANSWERS, "method" => question.method).increment(1);
        response
    }
}

// === impl Answer ===

impl Answer {
    fn respond(self) -> Response<Body> {
        let trailers = self.trailers;
        let body = Full::new(self.body).with_trailers(async move { Some(Ok(trailers)) });
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Reads a request whole; its bytes are part of the question.
async fn question(rule: Rule, request: Request<Body>) -> Result<(Question, Request<Body>), CallError> {
    let (head, body) = request.into_parts();
    let principal = principal(&head)?;
    let body = Limited::new(body, super::MAX_MESSAGE + super::FRAME).collect().await;
    let body: Bytes = body.map_err(|_| CallError::TooLarge)?.to_bytes();
    let question = Question { method: rule.name, principal, request: body.clone() };
    Ok((question, Request::from_parts(head, Body::new(Full::new(body)))))
}

fn principal(head: &Parts) -> Result<Principal, CallError> {
    head.extensions.get::<Principal>().cloned().ok_or(CallError::NoCredential)
}

/// Reads a response whole: it is one message, which is in memory already.
async fn answer(as_of: OffsetDateTime, response: Response<Body>) -> Result<Answer, Status> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok(Answer { as_of, status: head.status, headers: head.headers, body: collected.to_bytes(), trailers })
}

fn refuse(since: OffsetDateTime, what: Unanswered) -> Response<Body> {
    status::respond(status::refuse(CallError::DatabaseAway { since: rfc3339(since), what }))
}

/// The credential may be good: only the database knows.
pub(super) fn refuse_stranger(away: Away) -> Status {
    status::refuse(CallError::DatabaseAway { since: rfc3339(away.since), what: Unanswered::Credential })
}

/// To the millisecond.
fn rfc3339(time: OffsetDateTime) -> String {
    let millis = time.millisecond();
    let time = time.replace_millisecond(millis).unwrap_or(time);
    time.format(&Rfc3339).unwrap_or_default()
}
