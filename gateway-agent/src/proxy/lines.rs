//! The line ends of the request heads of one connection. A server that takes a line feed alone for an end, behind one that
//! does not, reads other headers than that one did; the parser takes both, so they are looked at before it.
//!
//! What lies between two heads is passed over as the heads say, so that a head that came with the request before it is
//! looked at as well.

/// The bytes of one HTTP/1 connection, as they come.
#[derive(Debug, Default)]
pub(super) struct HeadLines {
    place: Place,
    /// What came of a line that is not whole.
    carried: Vec<u8>,
}

#[derive(Debug, Default)]
enum Place {
    /// Empty lines before a head are passed over, as the parser does.
    #[default]
    Before,
    Head(Length),
    /// Within a body, or a piece of one.
    Skip {
        left: u64,
        then: Then,
    },
    ChunkSize,
    Trailers,
    /// The parser will not go on from here, and neither does this.
    Lost,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Head,
    Chunk,
}

/// What a head says of its body.
#[derive(Debug, Clone, Copy)]
enum Length {
    None,
    Bytes(u64),
    Chunks,
    Unclear,
}

/// A longer line is refused by the parser.
const LONGEST: usize = 64 * 1024;

// === impl HeadLines ===

impl HeadLines {
    /// Whether a line of a head ends without a carriage return.
    pub(super) fn has_bare_feed(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            if let Place::Skip { left, then } = &mut self.place {
                let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                if *left > 0 {
                    return false;
                }
                self.place = match then {
                    Then::Head => Place::Before,
                    Then::Chunk => Place::ChunkSize,
                };
            }
            if matches!(self.place, Place::Lost) {
                return false;
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                if self.carried.len() + bytes.len() > LONGEST {
                    (self.place, self.carried) = (Place::Lost, Vec::new());
                } else {
                    self.carried.extend_from_slice(bytes);
                }
                return false;
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            let is_bare = if self.carried.is_empty() {
                self.is_bare(line)
            } else {
                let mut whole = std::mem::take(&mut self.carried);
                whole.extend_from_slice(line);
                self.is_bare(&whole)
            };
            if is_bare {
                return true;
            }
        }
    }

    fn is_bare(&mut self, line: &[u8]) -> bool {
        let Some(text) = line.strip_suffix(b"\r\n") else {
            let of_head = !matches!(self.place, Place::ChunkSize);
            self.place = Place::Lost;
            return of_head;
        };
        self.place = match (std::mem::take(&mut self.place), text.is_empty()) {
            (Place::Before, true) | (Place::Trailers, true) => Place::Before,
            (Place::Before, false) => Place::Head(Length::None),
            (Place::Head(length), false) => Place::Head(length.with(text)),
            (Place::Head(length), true) => length.place(),
            (Place::ChunkSize, _) => chunk(text),
            (place, _) => place,
        };
        false
    }
}

// === impl Length ===

impl Length {
    fn with(self, line: &[u8]) -> Self {
        let Some(colon) = memchr::memchr(b':', line) else { return self };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Self::Chunks;
        }
        if name.eq_ignore_ascii_case(b"content-length") && !matches!(self, Self::Chunks) {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let value = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            return value.map_or(Self::Unclear, Self::Bytes);
        }
        self
    }

    const fn place(self) -> Place {
        match self {
            Self::None => Place::Before,
            Self::Bytes(left) => Place::Skip { left, then: Then::Head },
            Self::Chunks => Place::ChunkSize,
            Self::Unclear => Place::Lost,
        }
    }
}

fn chunk(line: &[u8]) -> Place {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    match size.map(|size| size.checked_add(2)) {
        Some(Some(2)) => Place::Trailers,
        Some(Some(left)) => Place::Skip { left, then: Then::Chunk },
        _ => Place::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_a_connection_is_read_alike() {
        let sized = "POST / HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\na\nb\n\nGET / HTTP/1.1\r\n";
        let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\n\na\n\r\nA\r\n0123\n56789\r\n0\r\n\
                       x: y\r\n\r\nGET / HTTP/1.1\r\n";
        for (bytes, bare) in [
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), false),
            ("\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n\r\nGET / HTTP/1.1\r\n".to_owned(), false),
            ("GET / HTTP/1.1\nhost: x\n\n".to_owned(), true),
            ("\r\nGET / HTTP/1.1\r\nhost: x\n\r\n".to_owned(), true),
            ("GET / HTTP/1.1\r\nhost: x\r\n\n".to_owned(), true),
            ("\nGET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), true),
            ("GET / HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n".to_owned(), true),
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\n\r\n".to_owned(), true),
            (format!("{sized}host: x\r\n\r\n"), false),
            (format!("{sized}host: x\n\r\n"), true),
            (format!("{chunked}host: x\r\n\r\n"), false),
            (format!("{chunked}host: x\n\r\n"), true),
            // What the parser refuses is its own business.
            ("POST / HTTP/1.1\r\ncontent-length: x\r\n\r\na\nb".to_owned(), false),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\na\nb".to_owned(), false),
        ] {
            for size in 1..=bytes.len() {
                let mut lines = HeadLines::default();
                let found = bytes.as_bytes().chunks(size).any(|piece| lines.has_bare_feed(piece));
                assert_eq!(found, bare, "{bytes:?} in pieces of {size}");
            }
        }
    }
}
