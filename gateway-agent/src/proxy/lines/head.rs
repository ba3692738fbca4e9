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
/// Longest beginning of a line that is looked at before its end.
const MOST_AHEAD: usize = 1024;

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
            return Err(NO_REQUEST);
        };
        if !is_token(method) {
            return Err(NO_METHOD);
        }
        if !is_target(target) {
            return Err(NO_TARGET);
        }
        let is_http10 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(NO_VERSION),
        };
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
        let (name, value) = header(line)?.ok_or(HeadFault::Malformed("a header line has no colon"))?;
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            return self.takes_length(value);
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return self.takes_coding(value);
        }
        if name.eq_ignore_ascii_case(b"connection") && value.is_ascii() {
            let mut options = value.split(|byte| *byte == b',');
            self.closes |= options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
        }
        Ok(())
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

const BOTH: HeadFault = HeadFault::Malformed("the request has both content-length and transfer-encoding");
const NO_REQUEST: HeadFault = HeadFault::Malformed("the request line is not `METHOD TARGET VERSION`");
const NO_METHOD: HeadFault = HeadFault::Malformed("the method is no name of one");
const NO_TARGET: HeadFault = HeadFault::Malformed("the request target is no URI");
const NO_VERSION: HeadFault = HeadFault::Malformed("the version is neither HTTP/1.1 nor HTTP/1.0");

/// The parser does not wait for the end of a line, so neither does this: the beginning of one that cannot become good.
/// Long ones are left to the parser, for this begins anew with each piece.
pub(super) fn look_ahead(is_request_line: bool, text: &[u8]) -> Result<(), HeadFault> {
    if text == b"\r" || text.len() > MOST_AHEAD {
        return Ok(());
    }
    if !is_request_line {
        return header(text.strip_suffix(b"\r").unwrap_or(text)).map(|_| ());
    }
    let mut parts = text.split(|byte| *byte == b' ');
    let method = parts.next().unwrap_or_default();
    if !(is_token(method) || text.is_empty()) {
        return Err(NO_METHOD);
    }
    let Some(target) = parts.next() else { return Ok(()) };
    if !target.iter().all(|byte| matches!(byte, b'!'..=b'~' | 0x80..)) {
        return Err(NO_TARGET);
    }
    let Some(version) = parts.next() else { return Ok(()) };
    if target.is_empty() || parts.next().is_some() {
        return Err(NO_REQUEST);
    }
    let may = b"HTTP/1.1\r".starts_with(version) || b"HTTP/1.0\r".starts_with(version);
    if may { Ok(()) } else { Err(NO_VERSION) }
}

type NameAndValue<'a> = (&'a [u8], &'a [u8]);

/// A header line, or the beginning of one: its name and its value, once there is a colon.
fn header(line: &[u8]) -> Result<Option<NameAndValue<'_>>, HeadFault> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(HeadFault::Malformed("a header is folded over several lines"));
    }
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let (name, value) = (parts.next().unwrap_or_default(), parts.next());
    if !is_token(name) && !line.is_empty() {
        return Err(HeadFault::Malformed("a header name holds what no name may"));
    }
    let Some(value) = value else { return Ok(None) };
    if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
        return Err(HeadFault::Malformed("a header value holds a control character"));
    }
    Ok(Some((name, value)))
}

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
