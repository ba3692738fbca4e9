//! Progress of a rollout on stderr: a bar on a terminal, a line for each change otherwise, nothing with `--json`.

use std::cell::RefCell;
use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use proto::v1;

use crate::printer::Printer;
use crate::tables;
use crate::views::{CountsView, rollouts};
use crate::words::clean_line;

/// Says where a rollout stands, each state once.
pub(crate) struct Progress<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
    last: RefCell<String>,
}

// === impl Progress ===

impl<'a> Progress<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let on_terminal = !printer.is_json() && io::stderr().is_terminal();
        let bar = on_terminal.then(|| {
            let bar = ProgressBar::new(0);
            // A template that does not read leaves the default style: progress is no reason to fail.
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { printer, bar, last: RefCell::default() }
    }

    pub(crate) fn show(&self, rollout: &v1::Rollout) {
        let counts = CountsView::of(&rollouts::counts(rollout));
        let waiting = rollout.waiting_on.join("; ");
        let waiting = if waiting.is_empty() { String::new() } else { format!("; waiting for {waiting}") };
        let state = rollouts::state(rollout.state());
        let line = clean_line(&format!("{state}: {}{waiting}", tables::counts(&counts)));
        if let Some(bar) = &self.bar {
            bar.set_length(u64::from(counts.total));
            bar.set_position(u64::from(counts.active));
            bar.set_message(line);
        } else if *self.last.borrow() != line {
            self.printer.talk(&line);
            self.last.replace(line);
        }
    }

    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => {
                if *self.last.borrow() != text {
                    self.printer.talk(text);
                    self.last.replace(text.to_owned());
                }
            }
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
