//! One request head, line by line, before the parser has it: what makes it unfit, and what it says of its body.
//!
//! The parser settles some contradictions without a word (a length beside chunks, the same length twice, a fragment), and
//! answers what it refuses without one. Whoever stands before this gateway may have settled them otherwise.

use http::Uri;

use super::super::reply::{Refusal, Reply};

/// Why a head never becomes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum HeadFault {
    /// It is not well-formed, or can be read in two ways.
    Malformed(&'static str),
    TooLarge,
    /// The target has a fragment: one more spelling of a path.
    Fragment,
}

/// What the lines so far say.
#[derive(Debug, Default)]
pub(super) struct Head {
    bytes: usize,
    headers: usize,
    is_http10: bool,
    length: Option<u64>,
    is_chunked: bool,
    /// The parser reads no further request from this connection.
    pub(super) closes: bool,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Bytes(u64),
    Chunks,
}

/// A head beyond this is refused before the parser does it. What is smaller and still too large is answered as a request.
pub(super) const MOST_BYTES: usize = 60 * 1024;
const MOST_HEADERS: usize = 120;

// === impl HeadFault ===

impl HeadFault {
    /// The whole answer. It has no id, because no request came to be.
    pub(in crate::proxy) fn answer(self) -> Vec<u8> {
        let refusal = match self {
            Self::Malformed(message) => Refusal::Head { message },
            Self::TooLarge => Refusal::HeadersTooLarge,
            Self::Fragment => Refusal::UnknownPath,
        };
        let Reply { status, body, .. } = refusal.into_reply(None);
        let mut answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        answer
    }
}

// === impl Head ===

impl Head {
    /// The request line, without its end.
    pub(super) fn begin(line: &[u8]) -> Result<Self, HeadFault> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HeadFault::Malformed("the request line is not `METHOD TARGET VERSION`"));
        };
        let is_http10 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(HeadFault::Malformed("the version is neither HTTP/1.1 nor HTTP/1.0")),
        };
        if !is_token(method) {
            return Err(HeadFault::Malformed("the method is no name of one"));
        }
        if !is_target(target) {
            return Err(HeadFault::Malformed("the request target is no URI"));
        }
        if memchr::memchr(b'#', target).is_some() {
            return Err(HeadFault::Fragment);
        }
        let mut head = Self { is_http10, ..Self::default() };
        head.grow(line)?;
        Ok(head)
    }

    /// One header line, without its end.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        self.grow(line)?;
        self.headers += 1;
        if self.headers > MOST_HEADERS {
            return Err(HeadFault::TooLarge);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(HeadFault::Malformed("a header is folded over several lines"));
        }
        let Some((name, value)) = memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
        else {
            return Err(HeadFault::Malformed("a header line has no colon"));
        };
        if !is_token(name) {
            return Err(HeadFault::Malformed("a header name holds what no name may"));
        }
        if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
            return Err(HeadFault::Malformed("a header value holds a control character"));
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.takes_length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.takes_coding(value)
        } else {
            if name.eq_ignore_ascii_case(b"connection") && value.is_ascii() {
                let mut options = value.split(|byte| *byte == b',');
                self.closes |= options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
            Ok(())
        }
    }

    pub(super) fn length(&self) -> Length {
        if self.is_chunked { Length::Chunks } else { Length::Bytes(self.length.unwrap_or_default()) }
    }

    /// Whether the beginning of a further line fits.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= MOST_BYTES
    }

    fn grow(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        self.bytes += line.len() + 2;
        if self.has_room(0) { Ok(()) } else { Err(HeadFault::TooLarge) }
    }

    fn takes_length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.is_chunked {
            return Err(BOTH);
        }
        if self.length.is_some() {
            return Err(HeadFault::Malformed("the request has more than one content-length"));
        }
        let digits = Some(value).filter(|value| value.iter().all(u8::is_ascii_digit));
        let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        self.length = Some(number.ok_or(HeadFault::Malformed("the content-length is no number of bytes"))?);
        Ok(())
    }

    fn takes_coding(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.length.is_some() {
            return Err(BOTH);
        }
        if self.is_http10 {
            return Err(HeadFault::Malformed("HTTP/1.0 has no transfer-encoding"));
        }
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadFault::Malformed("the transfer-encoding is something else than `chunked`, once"));
        }
        self.is_chunked = true;
        Ok(())
    }
}

const BOTH: HeadFault =
    HeadFault::Malformed("the request has both content-length and transfer-encoding");

/// A name as RFC 9110 has it: of a method, of a header.
fn is_token(name: &[u8]) -> bool {
    let may = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
    };
    !name.is_empty() && name.iter().all(may)
}

/// Nearly every target is a plain path.
fn is_target(target: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_');
    (target.starts_with(b"/") && target.iter().all(is_plain)) || Uri::try_from(target).is_ok()
}
