//! The door of this host. (`door` replaces this first thin version.)

pub mod handover;

use std::convert::Infallible;
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
    pub handle: ActivatorHandle,
    pub readiness: Readiness,
    pub clock: Clock,
    pub drain: DrainWatcher,
}

pub struct Admin {
    name: String,
    parts: Parts,
    handle: watch::Sender<ActivatorHandle>,
    hand_overs: mpsc::Sender<HandOver>,
}

pub struct BoundDoor {
    admin: Arc<Admin>,
    listener: Option<UnixListener>,
}

impl Admin {
    pub fn follow(&self, handle: ActivatorHandle) {
        self.handle.send_replace(handle);
    }
}

impl BoundDoor {
    pub fn bind(place: &Place, parts: Parts) -> (Self, mpsc::Receiver<HandOver>) {
        let bound = instance::door::bind(&place.admin_socket()).and_then(|listener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        });
        let listener = bound.inspect_err(|error| tracing::warn!(%error, "no admin socket")).ok();
        let (sender, hand_overs) = mpsc::channel(1);
        let handle = watch::Sender::new(parts.handle.clone());
        let admin = Admin { name: place.name().to_owned(), parts, handle, hand_overs: sender };
        (Self { admin: Arc::new(admin), listener }, hand_overs)
    }

    pub fn admin(&self) -> Arc<Admin> {
        Arc::clone(&self.admin)
    }

    pub async fn serve(self, drain: DrainWatcher) {
        let Some(listener) = self.listener else { return };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drain.signaled() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            drain.spawn("door connection", connection(stream, self.admin.clone(), drain.clone()));
        }
    }
}

async fn connection(stream: UnixStream, admin: Arc<Admin>, drain: DrainWatcher) {
    let service = service_fn(move |request| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(answer(&request, &admin).await) }
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

async fn answer(request: &Request<Incoming>, admin: &Admin) -> Response<BoxBody<Bytes, Infallible>> {
    let Parts { source, listen, live, readiness, drain, .. } = &admin.parts;
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
            let sent = admin.hand_overs.send(HandOver { released, gone }).await.is_ok();
            if sent && is_released.await.is_ok() {
                return Response::new(OpenBody::new(keep, drain.clone()).boxed());
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
