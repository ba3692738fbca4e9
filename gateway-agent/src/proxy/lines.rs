//! The request heads of one connection, looked at as bytes before the parser has them: a server that stood before this
//! one may have read other headers where a head can be read in two ways (a line feed alone, two lengths).
//!
//! What lies between two heads is passed over as the heads say, so that a head that came with the request before it is
//! looked at as well.

mod head;

pub(super) use self::head::HeadFault;
use self::head::{Head, Length, MOST_BYTES};

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
    Head(Head),
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

/// A longer line of a body's framing is refused by the parser.
const LONGEST: usize = 64 * 1024;

// === impl HeadLines ===

impl HeadLines {
    /// # Errors
    /// A head is unfit; what comes behind it is not looked at.
    pub(super) fn look(&mut self, mut bytes: &[u8]) -> Result<(), HeadFault> {
        loop {
            if let Place::Skip { left, then } = &mut self.place {
                let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                if *left > 0 {
                    return Ok(());
                }
                self.place = match then {
                    Then::Head => Place::Before,
                    Then::Chunk => Place::ChunkSize,
                };
            }
            if matches!(self.place, Place::Lost) {
                return Ok(());
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return self.carry(bytes);
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            let fault = if self.carried.is_empty() {
                self.take(line)
            } else {
                let mut whole = std::mem::take(&mut self.carried);
                whole.extend_from_slice(line);
                self.take(&whole)
            };
            if fault.is_err() {
                self.place = Place::Lost;
                return fault;
            }
        }
    }

    fn carry(&mut self, bytes: &[u8]) -> Result<(), HeadFault> {
        let length = self.carried.len() + bytes.len();
        let fits = match &self.place {
            Place::Before => length <= MOST_BYTES,
            Place::Head(head) => head.has_room(length),
            _ => length <= LONGEST,
        };
        if fits {
            self.carried.extend_from_slice(bytes);
            return match &self.place {
                Place::Before => head::look_ahead(true, &self.carried),
                Place::Head(_) => head::look_ahead(false, &self.carried),
                _ => Ok(()),
            };
        }
        self.carried = Vec::new();
        match std::mem::replace(&mut self.place, Place::Lost) {
            Place::Before | Place::Head(_) => Err(HeadFault::TooLarge),
            _ => Ok(()),
        }
    }

    /// One line with its end.
    fn take(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return match std::mem::replace(&mut self.place, Place::Lost) {
                Place::ChunkSize => Ok(()),
                _ => Err(HeadFault::Malformed("a line of the request head ends without a carriage return")),
            };
        };
        self.place = match (std::mem::take(&mut self.place), text.is_empty()) {
            (Place::Before, true) | (Place::Trailers, true) => Place::Before,
            (Place::Before, false) => Place::Head(Head::begin(text)?),
            (Place::Head(mut head), false) => {
                head.take(text)?;
                Place::Head(head)
            }
            (Place::Head(head), true) => behind(&head),
            (Place::ChunkSize, _) => chunk(text),
            (place, _) => place,
        };
        Ok(())
    }
}

fn behind(head: &Head) -> Place {
    match head.length() {
        _ if head.closes => Place::Lost,
        Length::Bytes(left) => Place::Skip { left, then: Then::Head },
        Length::Chunks => Place::ChunkSize,
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

    fn fault_of(bytes: &str, size: usize) -> Option<HeadFault> {
        let mut lines = HeadLines::default();
        bytes.as_bytes().chunks(size).find_map(|piece| lines.look(piece).err())
    }

    #[test]
    fn every_split_of_a_connection_is_read_alike() {
        let sized = "POST / HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\na\nb\n\nGET / HTTP/1.1\r\n";
        let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\n\na\n\r\nA\r\n0123\n56789\r\n0\r\n\
                       x: y\r\n\r\nGET / HTTP/1.1\r\n";
        let closing = "GET / HTTP/1.1\r\nConnection: te, Close\r\n\r\n";
        for (bytes, is_unfit) in [
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), false),
            ("\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n\r\nGET / HTTP/1.1\r\n".to_owned(), false),
            ("GET / HTTP/1.1\nhost: x\n\n".to_owned(), true),
            ("\r\nGET / HTTP/1.1\r\nhost: x\n\r\n".to_owned(), true),
            ("GET / HTTP/1.1\r\nhost: x\r\n\n".to_owned(), true),
            ("\nGET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), true),
            ("GET / HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n".to_owned(), true),
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\n\r\n".to_owned(), true),
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost : x\r\n".to_owned(), true),
            (format!("{sized}host: x\r\n\r\n"), false),
            (format!("{sized}host: x\n\r\n"), true),
            (format!("{chunked}host: x\r\n\r\n"), false),
            (format!("{chunked}host: x\n\r\n"), true),
            (format!("{chunked}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"), true),
            // The parser does not wait for the end of a line.
            ("GET / HTTP/9".to_owned(), true),
            ("GET / HTTP/1.1\r\na b".to_owned(), true),
            ("GET / HTTP/1.1\r\na: \0".to_owned(), true),
            ("GET / HTTP/1.1\r\n a".to_owned(), true),
            ("GET / HTTP/1.1\r\na: b c\r\nd".to_owned(), false),
            // What the parser does not read is nobody's business.
            (format!("{closing}a\nb : c\r\n"), false),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\na\nb".to_owned(), false),
        ] {
            for size in 1..=bytes.len() {
                let fault = fault_of(&bytes, size);
                assert_eq!(fault.is_some(), is_unfit, "{bytes:?} in pieces of {size}: {fault:?}");
            }
        }
    }

    #[test]
    fn a_head_without_end_is_not_gathered() {
        for endless in ["GET /", "GET / HTTP/1.1\r\nhost: x\r\na: ", "GET / HTTP/1.1\r\n"] {
            for more in ["a", "a: b\r\n"] {
                let bytes = [endless, &more.repeat(80 * 1024)].concat();
                let fault = fault_of(&bytes, 4096);
                let is_line = more == "a: b\r\n" && endless == "GET /";
                assert!(fault == Some(HeadFault::TooLarge) || is_line, "{fault:?}");
            }
        }
    }
}
