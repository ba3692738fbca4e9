//! The port for operators and probes: `/healthz`, `/readyz`, `/metrics`. It is apart from the data port so
//! that it can be bound to loopback and still answers when the data port is saturated.
//!
//! It must not know what the program does; it reads a [`Readiness`] and asks for the metrics text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::drain::DrainWatcher;
use crate::readiness::Readiness;

/// Probes and scrapers are few; more connections than this are an accident or an attack.
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(50);

/// What the port answers from.
#[derive(Clone)]
pub struct AdminRoutes {
    pub readiness: Readiness,
    /// The metrics in Prometheus text format; `None` makes `/metrics` a 404.
    pub metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

/// Serves until the drain starts; open connections get their answer and are closed.
pub async fn serve(listener: TcpListener, routes: AdminRoutes, drain: DrainWatcher) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept_all = async {
        loop {
            // The semaphore is never closed.
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    let connection = serve_connection(stream, routes.clone(), drain.clone());
                    drain.spawn("admin connection", async move {
                        let _slot = slot;
                        connection.await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "admin port cannot accept a connection");
                    tokio::time::sleep(PAUSE_AFTER_ACCEPT_ERROR).await;
                }
            }
        }
    };
    tokio::select! {
        () = drain.signaled() => {}
        () = accept_all => {}
    }
}

async fn serve_connection(stream: TcpStream, routes: AdminRoutes, drain: DrainWatcher) {
    let answering = drain.clone();
    let service = service_fn(move |request| {
        let response = answer(&request, &routes, answering.is_draining());
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.signaled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "admin connection ended early");
    }
}

fn answer<B>(request: &Request<B>, routes: &AdminRoutes, draining: bool) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/healthz" => respond(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => answer_ready(&routes.readiness, draining),
        "/metrics" => match &routes.metrics {
            Some(render) => respond(StatusCode::OK, PROMETHEUS, render()),
            None => respond(StatusCode::NOT_FOUND, TEXT, "not found\n"),
        },
        _ => respond(StatusCode::NOT_FOUND, TEXT, "not found\n"),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A draining program is not ready: it must get no new work while it finishes the old.
fn answer_ready(readiness: &Readiness, draining: bool) -> Response<Full<Bytes>> {
    let mut waiting_on = readiness.waiting_on();
    if draining {
        waiting_on.push("draining");
    }
    let ready = waiting_on.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "ready": ready, "waiting_on": waiting_on });
    respond(status, JSON, format!("{body}\n"))
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
