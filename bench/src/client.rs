//! HTTP over one kept connection, to a port or to a gateway's unix socket.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use service_kit::drain::DrainWatcher;
use tokio::net::{TcpStream, UnixStream};

const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

// === impl Client ===

impl Client {
    pub(crate) async fn to_port(address: SocketAddr, tasks: &DrainWatcher) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tasks.spawn("connection", connection);
        Ok(Self { sender, host: address.to_string() })
    }

    pub(crate) async fn to_socket(path: &Path, tasks: &DrainWatcher) -> anyhow::Result<Self> {
        let stream = instance::door::connect(path)?;
        stream.set_nonblocking(true)?;
        let (sender, connection) = handshake(TokioIo::new(UnixStream::from_std(stream)?)).await?;
        tasks.spawn("connection", connection);
        Ok(Self { sender, host: "localhost".to_owned() })
    }

    /// The head of an answer.
    pub(crate) async fn open(
        &mut self,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Response<Incoming>> {
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        tokio::time::timeout(PATIENCE, async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        })
        .await
        .context("no answer")?
        .map_err(Into::into)
    }

    /// A whole answer; anything but 200 is an error.
    pub(crate) async fn ask(&mut self, path: &str, body: Option<&Value>) -> anyhow::Result<Bytes> {
        let response = self.open(path, body).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&bytes));
        }
        Ok(bytes)
    }
}
