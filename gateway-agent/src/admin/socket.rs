//! The unix socket: bound in the gateway's directory, open to its own user and to root.
//!
//! Its name is not removed here: a newcomer may have taken it over, and only who holds the directory knows.

use std::convert::Infallible;
use std::io;
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
use tokio::time::Instant;

use super::errors::Refusal;
use super::handover::{Desk, HandOver, OpenBody};
use super::{Admin, Answer, Caller, Route, guard};

/// The socket, bound and not served yet.
pub struct Door {
    listener: UnixListener,
    may_order: fn(Peer) -> bool,
}

/// What its connections share.
struct Hall {
    admin: Arc<Admin>,
    desk: Desk,
    drain: DrainWatcher,
}

type SocketBody = Either<Full<Bytes>, OpenBody>;

/// People and their scripts are few; more than these are told to come again.
const MAX_CONNECTIONS: usize = 64;
/// A head from its first byte to its last, and a connection without one.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// A connection serves no new request after this, and ends after it again: also one whose peer reads nothing.
pub(super) const CONNECTION_LIVES: Duration = Duration::from_secs(60);
/// From the end of a door whose gateway is handed over to the first request of who came before it.
const FIRST_WORD: Duration = Duration::from_millis(100);
const LARGEST_HEAD: usize = 16 * 1024;
/// The cause (no more descriptors) ends when a connection does.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

// === impl Door ===

impl Door {
    /// Takes the socket's place over from whoever had it.
    ///
    /// # Errors
    /// Something else stands there, or the file system refuses. Traffic can be served all the same.
    pub fn bind(place: &Place) -> io::Result<Self> {
        let listener = door::bind(&place.admin_socket())?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, may_order: door::may_order })
    }

    /// Serves until the drain starts; what is being answered then gets its answer. Newcomers that want to take over
    /// come out of `hand_overs`' receiver; without one they are refused.
    pub async fn serve(
        self,
        admin: Arc<Admin>,
        hand_overs: Option<mpsc::Sender<HandOver>>,
        drain: DrainWatcher,
    ) {
        let Self { listener, may_order } = self;
        let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let hall = Arc::new(Hall { admin, desk: Desk::new(hand_overs), drain: drain.clone() });
        let accept_all = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => greet(stream, &hall, may_order, &seats),
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
        // Whoever came before the new process had the name is told to ask again, and not cut off.
        let last = Instant::now() + FIRST_WORD;
        while hall.admin.hands_over()
            && let Ok(Ok((stream, _))) = tokio::time::timeout_at(last, listener.accept()).await
        {
            greet(stream, &hall, may_order, &seats);
        }
    }

    #[cfg(test)]
    pub(super) fn open_to(mut self, may_order: fn(Peer) -> bool) -> Self {
        self.may_order = may_order;
        self
    }
}

/// Who comes, and whether there is a seat; whoever is sent away is told why.
fn greet(stream: UnixStream, hall: &Arc<Hall>, may_order: fn(Peer) -> bool, seats: &Arc<Semaphore>) {
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
    let connection = serve_connection(stream, Arc::clone(hall), Caller::User { uid }, seat);
    hall.drain.spawn("admin connection", connection);
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

async fn serve_connection(stream: UnixStream, hall: Arc<Hall>, caller: Caller, _seat: OwnedSemaphorePermit) {
    let drain = hall.drain.clone();
    let (hands_over, has_asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (handing, asking, admin) = (Arc::clone(&hands_over), Arc::clone(&has_asked), Arc::clone(&hall.admin));
    let service = service_fn(move |request| {
        let (hall, handing) = (Arc::clone(&hall), Arc::clone(&handing));
        asking.store(true, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(answer(&hall, request, caller, &handing).await) }
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
        // The new process answers what is asked again; a connection that is cut would say nothing.
        None if admin.hands_over() && !has_asked.load(Ordering::Relaxed) => {
            tokio::time::timeout(FIRST_WORD, connection.as_mut()).await.ok()
        }
        ended => ended,
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
    hall: &Hall,
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
            match hall.desk.ask(&hall.drain).await {
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
        Some(route) => hall.admin.answer(route, &head.method, body, caller, &hall.drain).await,
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
