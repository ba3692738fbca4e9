//! The unix socket: bound in the gateway's directory, open to its own user and to root.
//!
//! It is not removed at the end: a newcomer may have taken its place, and one that nobody holds is told from one that
//! somebody does by connecting.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use instance::Place;
use instance::documents::ErrorCode;
use instance::door::{self, Peer};
use service_kit::drain::DrainWatcher;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::errors::Refusal;
use super::handover::{HandOver, OpenBody};
use super::{Admin, Answer, Caller, Parts, Route, guard};

/// The door of a gateway, bound and not served yet.
pub struct BoundDoor {
    admin: Arc<Admin>,
    listener: Option<UnixListener>,
    may_order: fn(Peer) -> bool,
}

type SocketBody = Either<Full<Bytes>, OpenBody>;

/// People and their scripts are few; more than these are told to come again.
const MAX_CONNECTIONS: usize = 64;
/// A head from its first byte to its last, and a connection without one.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// A connection serves no new request after this, and ends after it again: also one whose peer reads nothing.
pub(super) const CONNECTION_LIVES: Duration = Duration::from_secs(60);
const LARGEST_HEAD: usize = 16 * 1024;
/// The cause (no more descriptors) ends when a connection does.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

// === impl BoundDoor ===

impl BoundDoor {
    /// Takes the socket's place over from whoever had it, and finds or makes the token. What cannot be had is warned
    /// about, and traffic is served without it. Hand-overs that are asked for come out of the receiver.
    pub fn bind(place: &Place, parts: Parts) -> (Self, mpsc::Receiver<HandOver>) {
        let path = place.admin_socket();
        let bound = door::bind(&path).and_then(|listener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        });
        let listener = bound
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "no admin socket: `kt gateway` cannot reach this gateway");
            })
            .ok();
        let (sender, hand_overs) = mpsc::channel(1);
        let admin = Arc::new(Admin::new(place, parts, sender));
        (Self { admin, listener, may_order: door::may_order }, hand_overs)
    }

    /// What the data port asks for its guarded routes.
    pub fn admin(&self) -> Arc<Admin> {
        Arc::clone(&self.admin)
    }

    /// Serves until the drain starts; what is being answered then gets its answer.
    pub async fn serve(self, drain: DrainWatcher) {
        let Some(listener) = self.listener else { return };
        let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accept_all = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => greet(stream, &self.admin, self.may_order, &seats, &drain),
                    Err(error) => {
                        tracing::warn!(%error, "the admin socket cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = drain.signaled() => {}
            () = accept_all => {}
        }
    }

    #[cfg(test)]
    pub(super) fn open_to(mut self, may_order: fn(Peer) -> bool) -> Self {
        self.may_order = may_order;
        self
    }
}

/// Who comes, and whether there is a seat; whoever is sent away is told why.
fn greet(
    stream: UnixStream,
    admin: &Arc<Admin>,
    may_order: fn(Peer) -> bool,
    seats: &Arc<Semaphore>,
    drain: &DrainWatcher,
) {
    let uid = match door::peer(&stream) {
        Ok(peer) if may_order(peer) => peer.uid,
        Ok(peer) => {
            tracing::warn!(uid = peer.uid, "another user is at the admin socket, and is sent away");
            return send_away(&stream, "403 Forbidden", "");
        }
        Err(error) => {
            tracing::warn!(%error, "the kernel does not say who is at the admin socket; it is sent away");
            return send_away(&stream, "403 Forbidden", "");
        }
    };
    let Ok(seat) = Arc::clone(seats).try_acquire_owned() else {
        let busy = Refusal::new(ErrorCode::Busy, "too many are at the admin socket; try again").into_answer();
        return send_away(&stream, "503 Service Unavailable", &String::from_utf8_lossy(&busy.body));
    };
    let connection = serve_connection(stream, Arc::clone(admin), Caller::User { uid }, drain.clone(), seat);
    drain.spawn("admin connection", connection);
}

/// Without a task of its own: the answer fits into the socket's buffer, which is empty.
fn send_away(stream: &UnixStream, status: &str, body: &str) {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // Whoever has gone need not be told.
    let _ = stream.try_write(answer.as_bytes());
}

async fn serve_connection(
    stream: UnixStream,
    admin: Arc<Admin>,
    caller: Caller,
    drain: DrainWatcher,
    _seat: OwnedSemaphorePermit,
) {
    let hands_over = Arc::new(AtomicBool::new(false));
    let handing = Arc::clone(&hands_over);
    let service = service_fn(move |request| {
        let (admin, handing) = (Arc::clone(&admin), Arc::clone(&handing));
        async move { Ok::<_, Infallible>(answer(&admin, request, caller, &handing).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = drain.signaled() => None,
        () = tokio::time::sleep(CONNECTION_LIVES) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let patience = async {
                tokio::time::sleep(CONNECTION_LIVES).await;
                if hands_over.load(Ordering::Relaxed) {
                    // Open for as long as the newcomer lives, or until we end.
                    drain.signaled().await;
                    tokio::time::sleep(HEAD_WITHIN).await;
                }
            };
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = patience => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

async fn answer(
    admin: &Arc<Admin>,
    request: Request<Incoming>,
    caller: Caller,
    hands_over: &AtomicBool,
) -> Response<SocketBody> {
    let (head, body) = request.into_parts();
    let says_other = |value: &HeaderValue| !guard::says_json(value);
    let answer = match Route::of(&head.uri) {
        None => Refusal::no_such_path().into_answer(),
        Some(Route::HandOver) if Route::HandOver.allows(&head.method) => {
            hands_over.store(true, Ordering::Relaxed);
            match admin.hand_over().await {
                Ok(open) => return respond(StatusCode::OK, None, Either::Right(open)),
                Err(refusal) => {
                    hands_over.store(false, Ordering::Relaxed);
                    refusal.into_answer()
                }
            }
        }
        // Here nobody is sent by a web page: a type that is not said is no reason to refuse.
        Some(route)
            if route != Route::Status && head.headers.get_all(CONTENT_TYPE).iter().any(says_other) =>
        {
            Refusal::invalid("the body must be JSON; send `content-type: application/json`").into_answer()
        }
        Some(route) => admin.answer(route, &head.method, body, caller).await,
    };
    let Answer { status, allow, body } = answer;
    respond(status, allow, Either::Left(Full::new(body)))
}

fn respond(status: StatusCode, allow: Option<&'static str>, body: SocketBody) -> Response<SocketBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}
