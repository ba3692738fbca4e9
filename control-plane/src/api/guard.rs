//! What every call passes before its handler: the authority, the rule, the credential, a time limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::auth::{Authenticator, allow, is_loopback_authority};
use super::call_error::CallError;
use super::limits::{Call, Limits};
use super::rules::{self, Access, Rule};
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
    let (mut head, mut body) = request.into_parts();
    let entered = async {
        let (principal, mut call) = enter(authenticator, limits, rule, &mut head).await?;
        let heard = if call.takes_turn() {
            let heard = hear(&mut body, &mut call).await.map_err(status::refuse)?;
            call.turn().await.map_err(status::refuse)?;
            Some(heard)
        } else {
            None
        };
        Ok((principal, call, heard))
    };
    let (principal, call, heard) = match entered.await {
        Ok(entered) => entered,
        Err(status) => {
            hear_out(body).await;
            return Ok(status::respond(status));
        }
    };
    let body = heard.map_or(body, |heard| Body::new(Full::new(heard)));
    if let Some(principal) = principal {
        head.extensions.insert(principal);
    }
    inner.call(Request::from_parts(head, body)).await.map(|response| call.answered(response))
}

/// A message whole.
async fn hear(body: &mut Body, call: &mut Call) -> Result<Bytes, CallError> {
    let mut heard = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|status| CallError::Unreadable(status.message().to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = heard.len() + data.len();
        if length > super::MAX_PUSH + super::FRAME {
            return Err(CallError::TooLarge);
        }
        if length > super::MAX_MESSAGE + super::FRAME {
            call.large_place().await?;
        }
        heard.extend_from_slice(&data);
    }
    Ok(heard.freeze())
}

/// Takes what a refused caller is sending already: its stream would be reset under it, and a client whose sending
/// fails may tell that instead of the answer.
async fn hear_out(mut body: Body) {
    let heard = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
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
    // Before the credential: nothing is learnt of one that is not looked at.
    if !is_loopback_authority(&head.uri, &head.headers) {
        return Err(status::refuse(CallError::ForeignAuthority));
    }
    let principal = match rule {
        Some(rule) if rule.access == Access::Anyone => None,
        _ => Some(identify(authenticator, limits, head).await?),
    };
    // An unknown method needs a credential as well: a stranger does not learn what there is.
    let rule = rule.ok_or_else(|| status::refuse(CallError::UnknownMethod))?;
    if let Some(principal) = &principal {
        allow(rule, principal).map_err(status::refuse)?;
    }
    let call = limits.begin(principal.as_ref(), rule, head).map_err(status::refuse)?;
    Ok((principal, call))
}

async fn identify(
    authenticator: &Authenticator,
    limits: &Limits,
    head: &mut Parts,
) -> Result<Principal, Status> {
    let credential = authenticator.to_look_up(&head.headers);
    let attempt = limits.attempt(head, credential).await.map_err(status::refuse)?;
    let identified = authenticator.identify_any(head).await;
    limits.judged(attempt, identified.as_ref());
    identified
}

fn note(rule: Option<Rule>, response: &Response<Body>, took: Duration) {
    let method = rule.map_or("unknown", |rule| rule.name);
    let code = Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |status| status.code());
    tracing::debug!(method, ?code, ?took, "call");
    metrics::counter!(crate::metrics::CALLS, "method" => method, "code" => crate::metrics::code_label(code))
        .increment(1);
    metrics::histogram!(crate::metrics::CALL_SECONDS, "method" => method).record(took.as_secs_f64());
}
