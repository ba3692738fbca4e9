//! Asks a running gateway over its unix socket: who it is, what it runs, what it should do.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use instance::Place;
use instance::documents::{ErrorBody, ErrorCode, ErrorDocument, Status, routes};
use instance::door;
use instance::lock::Lock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::{NOT_RUNNING, not_running};
use crate::failure::{Exit, Failure};

/// For an answer from memory.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// For a change: those before it are carried out first.
const CHANGE_LIMIT: Duration = Duration::from_secs(60);
/// For a gateway that is between two processes; one that is not gets no second question.
const ASK_AGAIN_FOR: Duration = Duration::from_secs(3);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);
const CONNECTION_LOST: &str = "connection_lost";
/// More than any of the answers.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A change that the gateway did not make.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// Its own words.
    Refused(Box<ErrorBody>),
    /// It could not be asked, or made no sense.
    Unheard(Failure),
}

// === impl NotDone ===

impl NotDone {
    /// Between two processes of a gateway, and nothing was done.
    fn is_for_a_moment(&self, place: &Place) -> bool {
        match self {
            Self::Refused(refused) => refused.code == ErrorCode::HandingOver,
            Self::Unheard(failure) => is_between_two(place, failure),
        }
    }
}

/// Nobody has the name, and somebody holds the directory or will start who does.
fn is_between_two(place: &Place, failure: &Failure) -> bool {
    failure.code() == NOT_RUNNING && (Lock::is_held(&place.lock()) || Lock::is_held(&place.supervisor_lock()))
}

/// What the gateway says of itself.
///
/// # Errors
/// [`not_running`], or why it cannot be asked.
pub(crate) async fn status(place: &Place) -> Result<Status, Failure> {
    let request = request(Method::GET, routes::STATUS, Bytes::new());
    match ask(place, request, LOOK_LIMIT).await {
        Ok(status) => Ok(status),
        Err(NotDone::Unheard(failure)) => Err(failure),
        Err(NotDone::Refused(refused)) => {
            Err(Failure::new(Exit::Failed, "refused", format!("the gateway refuses: {}", refused.message)))
        }
    }
}

/// As [`status`], of a gateway that may be between two processes.
///
/// # Errors
/// As [`status`].
pub(crate) async fn status_soon(place: &Place) -> Result<Status, Failure> {
    let until = Instant::now() + ASK_AGAIN_FOR;
    loop {
        match status(place).await {
            Err(failure)
                if Instant::now() < until
                    && (failure.code() == CONNECTION_LOST || is_between_two(place, &failure)) =>
            {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
            told => return told,
        }
    }
}

/// Gives an order. While the gateway is being handed over to another process it is given again, for it was not carried
/// out then.
pub(crate) async fn order<T: DeserializeOwned>(
    place: &Place,
    route: &str,
    order: &impl Serialize,
) -> Result<T, NotDone> {
    let body = serde_json::to_vec(order).map_err(|error| {
        NotDone::Unheard(Failure::unexpected(format!("an order that is no JSON: {error}")))
    })?;
    let body = Bytes::from(body);
    let until = Instant::now() + ASK_AGAIN_FOR;
    loop {
        let told = ask(place, request(Method::POST, route, body.clone()), CHANGE_LIMIT).await;
        match told {
            Err(not) if not.is_for_a_moment(place) && Instant::now() < until => {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
            told => return told,
        }
    }
}

/// The process that answers there, as the kernel says; the connection holds it to that.
///
/// # Errors
/// Nobody is there, or it is not ours to talk to.
pub(crate) fn server_pid(place: &Place) -> io::Result<(std::os::unix::net::UnixStream, Option<i32>)> {
    let stream = door::connect(&place.admin_socket())?;
    let pid = door::peer(&stream)?.pid;
    Ok((stream, pid))
}

fn request(method: Method, route: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = route.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(header::HOST, header::HeaderValue::from_static("localhost"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    request
}

async fn ask<T: DeserializeOwned>(
    place: &Place,
    request: Request<Full<Bytes>>,
    limit: Duration,
) -> Result<T, NotDone> {
    let told = tokio::time::timeout(limit, exchange(place, request)).await;
    let (status, body) = told.unwrap_or_else(|_| Err(silent(place, limit))).map_err(NotDone::Unheard)?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| NotDone::Unheard(strange(place, &error)));
    }
    match serde_json::from_slice::<ErrorDocument>(&body) {
        Ok(document) => Err(NotDone::Refused(Box::new(document.error))),
        Err(_) if status == StatusCode::FORBIDDEN => Err(NotDone::Unheard(forbidden(place))),
        Err(error) => Err(NotDone::Unheard(strange(place, &error))),
    }
}

async fn exchange(place: &Place, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
    let stream = door::connect(&place.admin_socket()).map_err(|error| unheard(place, &error))?;
    let stream = stream
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(stream))
        .map_err(|error| unheard(place, &error))?;
    let broken = |error: hyper::Error| match error.is_canceled() {
        // It was not sent: the process that had the name has ended.
        true => not_running(place.name()),
        false => cut(place, &error),
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut exchange = pin!(async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| strange(place, &error))?;
        Ok((status, body.to_bytes()))
    });
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        told = &mut exchange => told,
        // What it ends with is told to the one who waits for the answer.
        _ = &mut connection => exchange.await,
    }
}

fn unheard(place: &Place, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => not_running(place.name()),
        io::ErrorKind::PermissionDenied => forbidden(place),
        _ => Failure::new(
            Exit::Unreachable,
            "unreachable",
            format!("gateway `{}` cannot be asked over `{}`: {error}", place.name(), shown(place)),
        ),
    }
}

fn forbidden(place: &Place) -> Failure {
    Failure::new(
        Exit::Forbidden,
        "not_yours",
        format!("gateway `{}` is another user's: `{}`", place.name(), shown(place)),
    )
    .with_hint("run kt as the user who started it, or as root")
}

fn silent(place: &Place, limit: Duration) -> Failure {
    Failure::new(
        Exit::Unreachable,
        "timed_out",
        format!("gateway `{}` did not answer within {} s", place.name(), limit.as_secs()),
    )
    .with_hint(format!("see `kt gateway logs --name {}`", place.name()))
}

fn cut(place: &Place, error: &hyper::Error) -> Failure {
    Failure::new(
        Exit::Unreachable,
        CONNECTION_LOST,
        format!("gateway `{}` ended the connection before it answered: {error}", place.name()),
    )
    .with_hint(format!("see what it runs with `kt gateway status --name {}`", place.name()))
}

fn strange(place: &Place, error: &dyn std::fmt::Display) -> Failure {
    Failure::unexpected(format!("gateway `{}` gives an answer that makes no sense: {error}", place.name()))
        .with_hint(
            "kt and kt-gateway belong together: install them from one archive, and restart the gateway",
        )
}

fn shown(place: &Place) -> String {
    place.admin_socket().display().to_string()
}
