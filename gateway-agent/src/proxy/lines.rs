//! The line ends of a request head. A server that takes a line feed alone for an end, behind one that does not, reads
//! other headers than that one did; the parser takes both, so they are looked at before it.

/// One head, as its bytes come.
#[derive(Debug, Default)]
pub(super) struct HeadLines {
    last: Option<u8>,
    /// Bytes of the line that has begun.
    carried: usize,
    /// A line that is not empty was seen: empty ones before it are passed over, as the parser does.
    begun: bool,
    ended: bool,
}

// === impl HeadLines ===

impl HeadLines {
    /// Whether a line of the head ends without a carriage return. What follows the head is not looked at.
    pub(super) fn has_bare_feed(&mut self, bytes: &[u8]) -> bool {
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', bytes) {
            if self.ended {
                return false;
            }
            let before = if at > 0 { bytes.get(at - 1).copied() } else { self.last };
            if before != Some(b'\r') {
                return true;
            }
            match self.carried + at - from {
                1 => self.ended = self.begun,
                _ => self.begun = true,
            }
            (from, self.carried) = (at + 1, 0);
        }
        self.carried += bytes.len() - from;
        self.last = bytes.last().copied().or(self.last);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_a_head_is_read_alike() {
        for (head, bare) in [
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\nbody\nbody", false),
            ("\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n\n", false),
            ("GET / HTTP/1.1\nhost: x\n\n", true),
            ("\r\nGET / HTTP/1.1\r\nhost: x\n\r\n", true),
            ("GET / HTTP/1.1\r\nhost: x\r\n\n", true),
            ("\nGET / HTTP/1.1\r\nhost: x\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n", true),
        ] {
            for size in 1..=head.len() {
                let mut lines = HeadLines::default();
                let found = head.as_bytes().chunks(size).any(|piece| lines.has_bare_feed(piece));
                assert_eq!(found, bare, "{head:?} in pieces of {size}");
            }
        }
    }
}
