//! The door of this host. (`door` replaces this first thin version.)

pub mod handover;

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use instance::Place;
use instance::documents::{ErrorBody, ErrorCode, ErrorDocument, routes};
use service_kit::drain::DrainWatcher;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::activation::handle::ActivatorHandle;
use crate::app::Facts;
use crate::app::status_file::status;
use handover::{HandOver, OpenBody};

pub(crate) struct Door(UnixListener);

impl Door {
    pub(crate) fn bind(place: &Place) -> io::Result<Self> {
        let listener = instance::door::bind(&place.admin_socket())?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener).map(Self)
    }

    pub(crate) async fn serve(
        self,
        handle: ActivatorHandle,
        facts: Facts,
        hand_overs: mpsc::Sender<HandOver>,
        drain: DrainWatcher,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = self.0.accept() => accepted,
                () = drain.signaled() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let connection =
                connection(stream, handle.clone(), facts.clone(), hand_overs.clone(), drain.clone());
            drain.spawn("door connection", connection);
        }
    }
}

async fn connection(
    stream: UnixStream,
    handle: ActivatorHandle,
    facts: Facts,
    hand_overs: mpsc::Sender<HandOver>,
    drain: DrainWatcher,
) {
    let watcher = drain.clone();
    let service = service_fn(move |request| {
        let (handle, facts, hand_overs) = (handle.clone(), facts.clone(), hand_overs.clone());
        let drain = watcher.clone();
        async move { Ok::<_, Infallible>(answer(&request, &handle, &facts, &hand_overs, drain).await) }
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
    handle: &ActivatorHandle,
    facts: &Facts,
    hand_overs: &mpsc::Sender<HandOver>,
    drain: DrainWatcher,
) -> Response<BoxBody<Bytes, Infallible>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, routes::STATUS) => {
            let text = serde_json::to_vec(&status(&handle.record(), facts)).unwrap_or_default();
            Response::new(Full::new(Bytes::from(text)).boxed())
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
