//! The bytes of one connection, which end when it is to be closed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tonic::transport::server::Connected;

use super::{Connections, Peer};

/// The preface of HTTP/2 and the head of the first frame.
const BEGINNING: usize = 24 + 9;

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    peer: Peer,
    closed: Option<oneshot::Receiver<()>>,
    number: u64,
    connections: Arc<Connections>,
    /// Bytes of the beginning that have come.
    heard: usize,
}

// === impl Connection ===

impl Connection {
    pub(super) const fn new(
        stream: TcpStream,
        peer: Peer,
        closed: oneshot::Receiver<()>,
        number: u64,
        connections: Arc<Connections>,
    ) -> Self {
        Self { stream, peer, closed: Some(closed), number, connections, heard: 0 }
    }

    /// Fails once the connection is to be closed; until then the task is woken when it is.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Some(closed) = &mut self.closed {
            match Pin::new(closed).poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(_) => self.closed = None,
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the connection was not used as it should be"))
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.heard < BEGINNING {
            self.heard += buffer.filled().len() - before;
            if self.heard >= BEGINNING {
                self.peer.state.heard.store(true, Ordering::Relaxed);
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.forget(self.number);
    }
}
