//! A writer that makes every control character visible, so that nobody who chooses a name or a reason can
//! forge a log line or steer the terminal of whoever reads it.

use std::io::{self, Write};
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use super::queue::{Entry, Queue};

/// The queue behind an [`Escaping`] writer, one per event.
#[derive(Clone, Debug)]
pub(super) struct EscapedQueue(pub(super) Arc<Queue>);

/// Expects one event a call, ended by one newline, as the formatter writes it.
#[derive(Debug)]
pub(super) struct Escaping<W>(W);

// === impl EscapedQueue ===

impl<'a> MakeWriter<'a> for EscapedQueue {
    type Writer = Escaping<Entry<'a>>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaping(self.0.entry())
    }
}

// === impl Escaping ===

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = text.strip_suffix('\n').map_or((text.as_ref(), ""), |line| (line, "\n"));
        if line.chars().any(must_be_escaped) {
            let mut escaped = String::with_capacity(line.len() + 16);
            for character in line.chars() {
                if must_be_escaped(character) {
                    // The JSON spelling: it is right inside a JSON string and readable in text.
                    escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
                } else {
                    escaped.push(character);
                }
            }
            escaped.push_str(end);
            self.0.write_all(escaped.as_bytes())?;
        } else {
            self.0.write_all(text.as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the marks that reorder text.
fn must_be_escaped(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str) -> String {
        let mut writer = Escaping(Vec::new());
        writer.write_all(event.as_bytes()).unwrap();
        String::from_utf8(writer.0).unwrap()
    }

    #[test]
    fn an_event_stays_one_line_and_cannot_steer_a_terminal() {
        assert_eq!(written("name=a\nERROR forged\n"), "name=a\\u000aERROR forged\n");
        assert_eq!(written("\u{1b}[2J\u{9b}31m\u{7f}\r\n"), "\\u001b[2J\\u009b31m\\u007f\\u000d\n");
        assert_eq!(written("abc\u{202e}cba\n"), "abc\\u202ecba\n");
        assert_eq!(written("größer, 東京 ×2\n"), "größer, 東京 ×2\n");
    }

    #[test]
    fn an_escaped_json_line_is_still_json_and_keeps_the_value() {
        let line = written("{\"reason\":\"a\u{9b}b\"}\n");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["reason"], "a\u{9b}b");
    }
}
