//! HTTP/1.1 as bytes over one kept connection: a load generator that costs little, so that there is processor left for
//! what it loads.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

const PATIENCE: Duration = Duration::from_secs(20);

// === impl Wire ===

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and reads the whole answer, which is a 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.answer(request, &[]).await.map(|_| ())
    }

    /// The same, and the head of the answer.
    pub(crate) async fn head(&mut self, request: &[u8]) -> anyhow::Result<String> {
        tokio::time::timeout(PATIENCE, self.exchange(request, &[])).await.context("no answer")??;
        let head = head_length(&self.buffer).unwrap_or_default();
        Ok(String::from_utf8_lossy(self.buffer.get(..head).unwrap_or_default()).to_lowercase())
    }

    /// How long after sending `words` were there; the answer is read to its end.
    pub(crate) async fn until(&mut self, request: &[u8], words: &str) -> anyhow::Result<Duration> {
        self.answer(request, words.as_bytes()).await?.context("the stream ended without the words")
    }

    async fn answer(&mut self, request: &[u8], words: &[u8]) -> anyhow::Result<Option<Duration>> {
        let seen =
            tokio::time::timeout(PATIENCE, self.exchange(request, words)).await.context("no answer")??;
        if !self.buffer.starts_with(b"HTTP/1.1 200") {
            bail!("refused: {}", String::from_utf8_lossy(self.buffer.get(..400).unwrap_or(&self.buffer)));
        }
        Ok(seen)
    }

    async fn exchange(&mut self, request: &[u8], words: &[u8]) -> anyhow::Result<Option<Duration>> {
        self.buffer.clear();
        let began = Instant::now();
        let mut seen = None;
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
            if !words.is_empty()
                && seen.is_none()
                && self.buffer.windows(words.len()).any(|window| window == words)
            {
                seen = Some(began.elapsed());
            }
            if whole_message(&self.buffer).is_some() {
                return Ok(seen);
            }
        }
    }
}

/// A POST of this JSON, kept alive.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer sk-client\r\n\
         user-agent: bench\r\naccept: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Length of the message that is whole at the front of these bytes, head included.
pub(crate) fn whole_message(bytes: &[u8]) -> Option<usize> {
    let head_end = head_length(bytes)?;
    let head = std::str::from_utf8(bytes.get(..head_end)?).ok()?;
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            let length = head_end + value.trim().parse::<usize>().ok()?;
            return (bytes.len() >= length).then_some(length);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            // Nothing of ours holds these bytes within a chunk.
            return bytes.ends_with(b"\r\n0\r\n\r\n").then_some(bytes.len());
        }
    }
    Some(head_end)
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4)
}
