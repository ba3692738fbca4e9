//! HTTP/2 by hand: frames as a broken or evil peer would send them, and what comes back.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use tests::plane::PATIENCE;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// SETTINGS_INITIAL_WINDOW_SIZE.
pub const INITIAL_WINDOW: u16 = 4;

/// A connection that says what the test writes.
pub struct Raw {
    pub stream: TcpStream,
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub id: u32,
    pub payload: Vec<u8>,
}

// === impl Raw ===

impl Raw {
    pub async fn connect(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// Connects and begins as HTTP/2 does.
    pub async fn begin(url: &str, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::connect(url).await;
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| name.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        raw.say(PREFACE).await;
        raw.say(&frame(SETTINGS, 0, 0, &payload)).await;
        raw
    }

    /// Writes; false when the peer closed the connection, or takes nothing any more for a while.
    pub async fn say(&mut self, bytes: &[u8]) -> bool {
        let written = tokio::time::timeout(Duration::from_millis(500), self.stream.write_all(bytes)).await;
        matches!(written, Ok(Ok(())))
    }

    /// The next frame; `None` when the connection is closed.
    pub async fn hear(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        let heard = async {
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], id, payload })
        };
        tokio::time::timeout(PATIENCE, heard).await.expect("a frame or the end, in time")
    }

    /// The first frame of this kind on this stream; `None` when the connection is closed before.
    pub async fn hear_of(&mut self, kind: u8, id: u32) -> Option<Frame> {
        loop {
            let frame = self.hear().await?;
            if frame.kind == kind && frame.id == id {
                return Some(frame);
            }
        }
    }

    /// Reads until the connection is closed; the error code of the last GOAWAY, if one came.
    pub async fn until_closed(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.hear().await {
            if frame.kind == GOAWAY {
                let bytes = frame.payload[4..8].try_into().unwrap();
                code = Some(u32::from_be_bytes(bytes));
            }
        }
        code
    }
}

pub fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a gRPC call.
pub fn call(path: &str, token: Option<&str>, more: &[(&str, &str)]) -> Vec<u8> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    fields.extend(more);
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// A message as gRPC frames it.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    framed.extend(bytes);
    framed
}

/// HPACK, plain: a literal field that is not indexed.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        length(&mut bytes, text.len());
        bytes.extend(text.as_bytes());
    }
    bytes
}

fn length(bytes: &mut Vec<u8>, mut length: usize) {
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
        return;
    }
    bytes.push(127);
    length -= 127;
    while length >= 128 {
        bytes.push(u8::try_from(length % 128 + 128).unwrap());
        length /= 128;
    }
    bytes.push(u8::try_from(length).unwrap());
}
