//! The only place that writes to the terminal: stdout is data, stderr is talk.
//!
//! A reader that went away (EPIPE) is silence: what follows is dropped and nothing fails.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};

use clap::builder::StyledStr;
use serde::Serialize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::failure::{Exit, Failure};
use crate::views::{ErrorDocument, ErrorView, FindingView};
use crate::words::clean;

/// Decides once how to speak.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    /// Whether stdout, stderr may have colour.
    colour: (bool, bool),
    /// Whether stdout is a terminal: tables then keep to its width.
    terminal: bool,
    reader_gone: Cell<bool>,
}

// === impl Printer ===

impl Printer {
    pub(crate) fn new(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let allowed = !dumb && !refused;
        Self { json, colour: (out && allowed, err && allowed), terminal: out, reader_gone: Cell::new(false) }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) const fn stdout_has_colour(&self) -> bool {
        self.colour.0
    }

    pub(crate) const fn stderr_has_colour(&self) -> bool {
        self.colour.1
    }

    /// Columns to keep to, when somebody looks.
    pub(crate) const fn width(&self) -> Option<u16> {
        if self.terminal { Some(80) } else { None }
    }

    /// True once nobody reads stdout any more.
    pub(crate) fn reader_gone(&self) -> bool {
        self.reader_gone.get()
    }

    /// Waits until nobody reads stdout any more; for ever where that cannot be told, as with a file.
    pub(crate) async fn reader_leaves(&self) {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; what it asks for holds: stdout is never closed"
        )]
        let watched = AsyncFd::with_interest(io::stdout(), Interest::ERROR);
        let told = match watched {
            Ok(stdout) => stdout.ready(Interest::ERROR).await.map(drop),
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => self.reader_gone.set(true),
            Err(_) => std::future::pending().await,
        }
    }

    /// One JSON document and a newline on stdout.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::unexpected(format!("the answer is no JSON: {error}")))?;
        self.text(&text)
    }

    /// One line of JSON Lines on stdout.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::unexpected(format!("the answer is no JSON: {error}")))?;
        self.text(&text)
    }

    /// Text and a newline on stdout; an empty text prints nothing. The caller cleaned it.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let newline: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
        self.bytes(text.as_bytes(), newline)
    }

    /// Bytes exactly as they are on stdout.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.bytes(bytes, b"")
    }

    pub(crate) fn styled_text(&self, text: &StyledStr) -> Result<(), Failure> {
        if self.colour.0 { self.text(&text.ansi().to_string()) } else { self.text(&text.to_string()) }
    }

    /// A line for people on stderr; nothing with `--json`.
    pub(crate) fn talk(&self, line: &str) {
        if !self.json {
            self.say(line);
        }
    }

    pub(crate) fn styled_talk(&self, text: &StyledStr) {
        if self.colour.1 { self.say(&text.ansi().to_string()) } else { self.say(&text.to_string()) }
    }

    /// `warning: …` on stderr, also with `--json`: stdout stays data.
    pub(crate) fn warn(&self, line: &str) {
        warn(line);
    }

    /// The failure on stderr: for people with its report and hint, else as the one JSON error object.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let view = ErrorView {
                code: failure.code(),
                message: clean(failure.message()),
                field: failure.field(),
                hint: failure.hint().map(clean),
                findings: failure.findings().iter().map(FindingView::of).collect(),
            };
            if let Ok(line) = serde_json::to_string(&ErrorDocument { error: view }) {
                self.say(&line);
            }
            return;
        }
        if let Some(report) = failure.report() {
            self.say(&format!("{report}\n\n"));
        }
        let (red, bold, off) =
            if self.colour.1 { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error{off}: {}", clean(failure.message()));
        if let Some(hint) = failure.hint() {
            text.push_str(&format!("\n  {bold}hint{off}: {}", clean(hint)));
        }
        self.say(&text);
    }

    fn bytes(&self, text: &[u8], newline: &[u8]) -> Result<(), Failure> {
        if self.reader_gone.get() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(text).and_then(|()| out.write_all(newline)).and_then(|()| out.flush());
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_gone.set(true);
                Ok(())
            }
            Err(error) => Err(Failure::new(
                Exit::Failed,
                "output_failed",
                format!("cannot write to standard output: {error}"),
            )),
        }
    }

    fn say(&self, text: &str) {
        say(text);
    }
}

/// As [`Printer::warn`], for whoever is below the commands.
pub(crate) fn warn(line: &str) {
    say(&format!("warning: {}", clean(line)));
}

fn say(text: &str) {
    let mut err = io::stderr().lock();
    // Nobody is left to be told that nobody listens.
    let _ = writeln!(err, "{}", text.strip_suffix('\n').unwrap_or(text));
}
