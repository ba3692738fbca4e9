//! Server-sent events: bytes in any cut become whole events, whatever ends their lines.

use crate::json::Document;

/// One event as its lines, without their ends.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Event {
    lines: Vec<Vec<u8>>,
}

/// Puts events together.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    lines: Vec<Vec<u8>>,
    line: Vec<u8>,
    bytes: usize,
    /// The last line ended with `\r`: a `\n` that follows belongs to it.
    after_return: bool,
    begun: bool,
}

// === impl Event ===

impl Event {
    /// An event of these data and nothing else.
    pub(super) fn of_data(data: &[u8]) -> Self {
        Self { lines: data.split(|&byte| byte == b'\n').map(|line| [b"data: ", line].concat()).collect() }
    }

    pub(super) fn named(name: &str, data: &[u8]) -> Self {
        let mut event = Self::of_data(data);
        event.lines.insert(0, [b"event: ", name.as_bytes()].concat());
        event
    }

    /// The data lines as one, or `None` if there are none.
    pub(super) fn data(&self) -> Option<Vec<u8>> {
        let mut values = self.lines.iter().filter_map(|line| data_of(line)).peekable();
        values.peek()?;
        Some(values.collect::<Vec<_>>().join(&b'\n'))
    }

    /// The event as who guards may send it: of what stands beside the data only what holds no text. `None`: there is
    /// something that nobody knows, or that says more than it should.
    pub(super) fn bare(mut self) -> Option<Self> {
        for line in &mut self.lines {
            let (name, value) = match line.iter().position(|byte| *byte == b':') {
                Some(colon) => line.split_at_checked(colon).unwrap_or_default(),
                None => (line.as_slice(), &b""[..]),
            };
            let value = value.strip_prefix(b":").unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let is_known = match name {
                b"" if !line.is_empty() => {
                    line.truncate(1);
                    continue;
                }
                b"data" => true,
                b"event" | b"id" => value.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'@'),
                b"retry" => value.iter().all(u8::is_ascii_digit),
                _ => false,
            };
            if !is_known {
                return None;
            }
        }
        Some(self)
    }

    /// Comments, `[DONE]` and whole JSON.
    pub(super) fn is_readable(&self) -> bool {
        self.data().is_none_or(|data| data.trim_ascii() == b"[DONE]" || Document::parse(&data).is_ok())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for line in &self.lines {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    /// The event with other data: they stand where its first data line stood.
    pub(super) fn write_with(&self, data: &[u8], out: &mut Vec<u8>) {
        let mut replaced = Self::of_data(data).lines;
        let mut lines = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            match data_of(line) {
                Some(_) => lines.append(&mut replaced),
                None => lines.push(line.clone()),
            }
        }
        Self { lines }.write(out);
    }
}

// === impl EventReader ===

impl EventReader {
    /// Reads up to the end of the next event and gives what comes after it.
    pub(super) fn read<'b>(&mut self, bytes: &'b [u8]) -> (Option<Event>, &'b [u8]) {
        let mut rest = bytes;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, ended) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.extend(line);
            let is_return = ended.first() == Some(&b'\r');
            rest = ended.get(1..).unwrap_or_default();
            match rest.strip_prefix(b"\n").filter(|_| is_return) {
                Some(after) => rest = after,
                None => self.after_return = is_return && rest.is_empty(),
            }
            if let Some(event) = self.end_line() {
                return (Some(event), rest);
            }
        }
        self.extend(rest);
        (None, &[])
    }

    /// What stands there without its end.
    pub(super) fn finish(&mut self) -> Option<Event> {
        let is_cut = [&b"data"[..], b"event", b"id", b"retry"]
            .iter()
            .any(|name| name.len() > self.line.len() && name.starts_with(&self.line));
        if !is_cut {
            let _ = self.end_line();
        }
        let lines = std::mem::take(&mut self.lines);
        (!lines.is_empty()).then_some(Event { lines })
    }

    /// Of the event that is not whole yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn extend(&mut self, part: &[u8]) {
        self.line.extend_from_slice(part);
        self.bytes += part.len();
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if !line.is_empty() {
            self.lines.push(line);
            // an empty line costs memory as well
            self.bytes += 1;
            return None;
        }
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines);
        (!lines.is_empty()).then_some(Event { lines })
    }
}

fn data_of(line: &[u8]) -> Option<&[u8]> {
    if line == b"data" {
        return Some(&[]);
    }
    let value = line.strip_prefix(b"data:")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
