//! The door of this host. (`door` replaces this first thin version.)

pub mod handover;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use instance::Place;
use instance::documents::{ErrorBody, ErrorCode, ErrorDocument, Source, routes};
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;
use service_kit::readiness::Readiness;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use crate::activation::handle::ActivatorHandle;
use crate::activation::live::LivePolicy;
use crate::app::small_status;
use handover::{HandOver, OpenBody};

/// What the door of one gateway works on.
pub struct Parts {
    pub source: Source,
    pub listen: SocketAddr,
    pub working_dir: PathBuf,
    pub live: LivePolicy,
    pub readiness: Readiness,
    pub clock: Clock,
    pub link: Option<Link>,
}

pub struct Link {
    pub url: String,
    pub fleet: String,
    pub connected: watch::Receiver<bool>,
}

pub struct Admin {
    name: String,
    parts: Parts,
    handle: watch::Sender<ActivatorHandle>,
}

pub struct Door(UnixListener);

impl Admin {
    pub fn new(place: &Place, handle: ActivatorHandle, parts: Parts) -> Self {
        Self { name: place.name().to_owned(), parts, handle: watch::Sender::new(handle) }
    }

    pub fn follow(&self, handle: ActivatorHandle) {
        self.handle.send_replace(handle);
    }
}

impl Door {
    pub fn bind(place: &Place) -> io::Result<Self> {
        let listener = instance::door::bind(&place.admin_socket())?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener).map(Self)
    }

    pub async fn serve(self, admin: Arc<Admin>, hand_overs: mpsc::Sender<HandOver>, drain: DrainWatcher) {
        loop {
            let accepted = tokio::select! {
                accepted = self.0.accept() => accepted,
                () = drain.signaled() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let served = connection(stream, admin.clone(), hand_overs.clone(), drain.clone());
            drain.spawn("door connection", served);
        }
    }
}

async fn connection(
    stream: UnixStream,
    admin: Arc<Admin>,
    hand_overs: mpsc::Sender<HandOver>,
    drain: DrainWatcher,
) {
    let watcher = drain.clone();
    let service = service_fn(move |request| {
        let (admin, hand_overs, drain) = (admin.clone(), hand_overs.clone(), watcher.clone());
        async move { Ok::<_, Infallible>(answer(&request, &admin, &hand_overs, drain).await) }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        _ = served.as_mut() => {}
        () = drain.signaled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

async fn answer(
    request: &Request<Incoming>,
    admin: &Admin,
    hand_overs: &mpsc::Sender<HandOver>,
    drain: DrainWatcher,
) -> Response<BoxBody<Bytes, Infallible>> {
    let Parts { source, listen, live, readiness, .. } = &admin.parts;
    match (request.method(), request.uri().path()) {
        (&Method::GET, routes::STATUS) => {
            let record = admin.handle.borrow().record();
            let ready = readiness.is_ready() && live.snapshot().is_some();
            let status = small_status(&admin.name, *source, *listen, ready, &record);
            Response::new(Full::new(Bytes::from(serde_json::to_vec(&status).unwrap_or_default())).boxed())
        }
        (&Method::POST, "/keeptrusts/handover") => {
            let (released, is_released) = tokio::sync::oneshot::channel();
            let (keep, gone) = tokio::sync::oneshot::channel();
            let sent = hand_overs.send(HandOver { released, gone }).await.is_ok();
            if sent && is_released.await.is_ok() {
                return Response::new(OpenBody::new(keep, drain).boxed());
            }
            refuse(ErrorCode::Stopping, "the gateway is ending or handing over; ask again")
        }
        _ => refuse(ErrorCode::InvalidRequest, "no such route"),
    }
}

fn refuse(code: ErrorCode, message: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let error =
        ErrorBody { code, message: message.to_owned(), stage: None, hint: None, findings: Vec::new() };
    let text = serde_json::to_vec(&ErrorDocument { error }).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    *response.status_mut() = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    response
}
