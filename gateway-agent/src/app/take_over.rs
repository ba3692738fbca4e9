//! A newcomer's side of a hand-over: it asks the process that serves to let go of the directory, and says by an open
//! connection that it lives. Should it die, that process takes the directory back.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use instance::documents::ErrorDocument;
use instance::{Place, door};
use tokio::net::UnixStream;

use super::AppError;
use crate::holding::{Holding, HoldingError};

/// The process that served until now. Dropped, it takes everything back, if it still lives.
pub(super) struct Predecessor {
    /// Nothing more is asked, and nothing more is read but the end.
    _asking: SendRequest<Empty<Bytes>>,
    answer: Incoming,
    line: Line,
}

/// The connection, driven while something is awaited of it. `None`: it has ended.
struct Line(Option<Pin<Box<Driver>>>);

type Driver = Connection<TokioIo<UnixStream>, Empty<Bytes>>;

#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    #[error("the process that serves cannot be asked to hand over: {0}")]
    Unreachable(io::Error),
    #[error("the process that serves does not hand over: {0}")]
    Refused(String),
    #[error("the process that serves did not hand over within {} s", LONGEST_WAIT.as_secs())]
    Late,
}

/// On the unix socket alone.
const ROUTE: &str = "/keeptrusts/handover";
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// For the lock of a process that ended a moment ago, or just let go of it.
const LONGEST_LOCK: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);
/// More than any answer of it.
const LONGEST_TEXT: usize = 64 * 1024;

/// Takes the directory over. `None`: the process that held it is gone.
pub(super) async fn take_over(place: &Place) -> Result<(Holding, Option<Predecessor>), AppError> {
    let asked = tokio::time::timeout(LONGEST_WAIT, ask(place)).await.unwrap_or(Err(TakeOverError::Late));
    match asked {
        Ok(predecessor) => Ok((take_soon(place).await?, Some(predecessor))),
        Err(TakeOverError::Unreachable(error)) => match take_soon(place).await {
            Ok(holding) => {
                tracing::warn!(%error, "the process that served is gone; starting without it");
                Ok((holding, None))
            }
            Err(HoldingError::InUse { .. }) => Err(TakeOverError::Unreachable(error).into()),
            Err(other) => Err(other.into()),
        },
        Err(error) => Err(error.into()),
    }
}

async fn ask(place: &Place) -> Result<Predecessor, TakeOverError> {
    let path = place.admin_socket();
    // A full backlog holds up whoever connects.
    let connected = tokio::task::spawn_blocking(move || door::connect(&path)).await;
    let stream = connected.unwrap_or_else(|error| Err(io::Error::other(error))).and_then(|stream| {
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    });
    let stream = TokioIo::new(stream.map_err(TakeOverError::Unreachable)?);
    let (mut asking, connection) = http1::handshake(stream).await.map_err(lost)?;
    let mut line = Line(Some(Box::pin(connection)));
    let request = Request::post(ROUTE)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Empty::new())
        .map_err(|error| TakeOverError::Refused(error.to_string()))?;
    let response = line.alongside(asking.send_request(request)).await.map_err(lost)?;
    let status = response.status();
    let mut answer = response.into_body();
    let mut text = Vec::new();
    while let Some(frame) = line.alongside(answer.frame()).await {
        if let Ok(data) = frame.map_err(lost)?.into_data() {
            text.extend_from_slice(&data);
        }
        if text.len() > LONGEST_TEXT || (status == StatusCode::OK && text.contains(&b'\n')) {
            break;
        }
    }
    let said: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    let released = said.as_ref().and_then(|said| said.get("released")).and_then(serde_json::Value::as_bool);
    if status == StatusCode::OK && released == Some(true) {
        return Ok(Predecessor { _asking: asking, answer, line });
    }
    if status == StatusCode::OK && text.is_empty() {
        return Err(TakeOverError::Unreachable(io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
    let why = serde_json::from_slice::<ErrorDocument>(&text).map(|document| document.error.message);
    Err(TakeOverError::Refused(why.unwrap_or_else(|_| format!("it answered {status}"))))
}

fn lost(error: hyper::Error) -> TakeOverError {
    TakeOverError::Unreachable(io::Error::other(error))
}

/// A lock that is about to be free.
async fn take_soon(place: &Place) -> Result<Holding, HoldingError> {
    let deadline = tokio::time::Instant::now() + LONGEST_LOCK;
    loop {
        match Holding::take(place.clone()) {
            Err(HoldingError::InUse { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            taken => return taken,
        }
    }
}

// === impl Predecessor ===

impl Predecessor {
    /// Until it has ended, or is about to.
    pub(super) async fn gone(&mut self) {
        while let Some(Ok(_)) = self.line.alongside(self.answer.frame()).await {}
    }
}

// === impl Line ===

impl Line {
    async fn alongside<F: Future>(&mut self, awaited: F) -> F::Output {
        let mut awaited = pin!(awaited);
        poll_fn(|context| {
            if self.0.as_mut().is_some_and(|connection| connection.as_mut().poll(context).is_ready()) {
                // Whoever waits for something of it is told by an error.
                self.0 = None;
            }
            awaited.as_mut().poll(context)
        })
        .await
    }
}
