//! What every call passes before its handler: the authority, the rule, the credential, a time limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::auth::{Authenticator, is_loopback_authority};
use super::call_error::CallError;
use super::limits::{Call, Limits};
use super::rules::{self, Rule};
use super::status;
use crate::operations::Principal;

/// An answer comes within this, or the beginning of its stream does.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Of a call that is refused: more than any request but a push has.
const HEARD_OUT: usize = 64 * 1024;
const HEARD_OUT_WITHIN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub(crate) struct GuardLayer {
    authenticator: Arc<Authenticator>,
    limits: Arc<Limits>,
}

#[derive(Debug, Clone)]
pub(crate) struct Guard<S> {
    authenticator: Arc<Authenticator>,
    limits: Arc<Limits>,
    inner: S,
}

// === impl GuardLayer ===

impl GuardLayer {
    pub(crate) fn new(authenticator: Authenticator) -> Self {
        Self { authenticator: Arc::new(authenticator), limits: Limits::new() }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { authenticator: self.authenticator.clone(), limits: self.limits.clone(), inner }
    }
}

// === impl Guard ===

impl<S> Service<Request<Body>> for Guard<S>
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
        let inner = std::mem::replace(&mut self.inner, clone);
        let authenticator = self.authenticator.clone();
        let limits = self.limits.clone();
        Box::pin(async move {
            let began = Instant::now();
            let rule = rules::of_path(request.uri().path());
            let response =
                match timeout(ANSWER_WITHIN, answer(&authenticator, &limits, rule, request, inner)).await {
                    Ok(response) => response?,
                    Err(_) => status::respond(status::refuse(CallError::TooSlow(ANSWER_WITHIN))),
                };
            let response = match status::said_by_transport(response.headers()) {
                Some(error) => status::respond(status::refuse(error)),
                None => response,
            };
            note(rule, &response, began.elapsed());
            Ok(response)
        })
    }
}

async fn answer<S>(
    authenticator: &Authenticator,
    limits: &Arc<Limits>,
    rule: Option<Rule>,
    request: Request<Body>,
    mut inner: S,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let (mut head, body) = request.into_parts();
    let (principal, call) = match enter(authenticator, limits, rule, &mut head).await {
        Ok(entered) => entered,
        Err(status) => {
            hear_out(body).await;
            return Ok(status::respond(status));
        }
    };
    if let Some(principal) = principal {
        head.extensions.insert(principal);
    }
    inner.call(Request::from_parts(head, body)).await.map(|response| call.answered(response))
}

/// Takes what a refused caller is sending already: its stream would be reset under it, and a client whose sending
/// fails may tell that instead of the answer.
async fn hear_out(mut body: Body) {
    let heard = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
            if bytes > HEARD_OUT {
                return;
            }
        }
    };
    let _ = timeout(HEARD_OUT_WITHIN, heard).await;
}

/// Who calls, and the call's place among those under way.
async fn enter(
    authenticator: &Authenticator,
    limits: &Arc<Limits>,
    rule: Option<Rule>,
    head: &mut Parts,
) -> Result<(Option<Principal>, Call), Status> {
    let attempt =
        limits.attempt(rule, head, authenticator.to_look_up(&head.headers)).map_err(status::refuse)?;
    let admitted = admit(authenticator, rule, head).await;
    limits.judged(attempt, &admitted);
    let principal = admitted?;
    let call = limits.begin(principal.as_ref(), rule, head).await.map_err(status::refuse)?;
    Ok((principal, call))
}

/// An unknown method needs a credential as well: a stranger does not learn what there is.
async fn admit(
    authenticator: &Authenticator,
    rule: Option<Rule>,
    head: &mut Parts,
) -> Result<Option<Principal>, Status> {
    if !is_loopback_authority(&head.uri, &head.headers) {
        return Err(status::refuse(CallError::ForeignAuthority));
    }
    match rule {
        Some(rule) => authenticator.admit(rule, head).await,
        None => {
            authenticator.identify_any(&head.headers).await?;
            Err(status::refuse(CallError::UnknownMethod))
        }
    }
}

fn note(rule: Option<Rule>, response: &Response<Body>, took: Duration) {
    let method = rule.map_or("unknown", |rule| rule.name);
    let code = Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |status| status.code());
    tracing::debug!(method, ?code, ?took, "call");
    metrics::counter!(crate::metrics::CALLS, "method" => method, "code" => crate::metrics::code_label(code))
        .increment(1);
    metrics::histogram!(crate::metrics::CALL_SECONDS, "method" => method).record(took.as_secs_f64());
}
