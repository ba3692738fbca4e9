//! `kt gateway logs`: the end of what a supervised gateway wrote, and what it writes from now on.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use serde::Serialize;
use tokio::time::sleep;

use crate::cli::gateway::GatewayLogsArgs;
use crate::failure::{Exit, Failure};
use crate::instances::{self, cannot_use};
use crate::printer::Printer;
use crate::supervisor::LogFiles;
use crate::words::clean_line;

const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// What one look prints at most; the rest comes with the next.
const MOST_AT_ONCE: u64 = 1024 * 1024;
/// Longer ones are cut: it is no line of ours.
const LONGEST_LINE: u64 = 64 * 1024;

pub(crate) async fn run(args: &GatewayLogsArgs, printer: &Printer) -> Result<Exit, Failure> {
    let found = instances::find(&args.gateway.name)?;
    let files = LogFiles::of(&found.place);
    let mut end = Place::default();
    let lines = last_lines(&files, args.lines, &mut end).map_err(|error| cannot_use(files.path(), &error))?;
    let is_empty = lines.is_empty();
    for line in lines {
        print(&line, printer)?;
    }
    if is_empty && !args.follow && args.lines > 0 {
        printer.talk(&format!(
            "gateway {} has no log here: one in a foreground writes to its own terminal",
            found.name()
        ));
    }
    while args.follow && !printer.reader_gone() {
        let more = end.read(files.path()).map_err(|error| cannot_use(files.path(), &error))?;
        let lines = String::from_utf8_lossy(&more);
        for line in lines.lines() {
            print(line, printer)?;
        }
        if more.is_empty() {
            tokio::select! {
                () = sleep(LOOK_AGAIN) => {}
                () = printer.reader_leaves() => {}
            }
        }
    }
    Ok(Exit::Done)
}

/// `{line}`, with `--json`.
#[derive(Debug, Serialize)]
struct LineView<'a> {
    line: &'a str,
}

/// A blank line stays one.
fn print(line: &str, printer: &Printer) -> Result<(), Failure> {
    if printer.is_json() {
        return printer.json_line(&LineView { line });
    }
    printer.text(&format!("{}\n", clean_line(line)))
}

/// How far the newest file was read.
#[derive(Debug, Default)]
struct Place {
    inode: u64,
    offset: u64,
}

// === impl Place ===

impl Place {
    /// Whole lines that came since; a file that was cut or put away begins anew.
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let Some(mut file) = open(path)? else { return Ok(Vec::new()) };
        let found = file.metadata()?;
        if found.ino() != self.inode || found.len() < self.offset {
            *self = Self { inode: found.ino(), offset: 0 };
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(MOST_AT_ONCE).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // A line without an end does not grow for ever.
        if whole > 0 || u64::try_from(bytes.len()).unwrap_or(u64::MAX) < LONGEST_LINE {
            bytes.truncate(whole);
        }
        self.offset += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(bytes)
    }
}

/// The newest `count` lines over all files, the oldest first.
fn last_lines(files: &LogFiles, count: usize, end: &mut Place) -> io::Result<VecDeque<String>> {
    let mut lines = VecDeque::new();
    for path in files.all() {
        let Some(file) = open(&path)? else { continue };
        let inode = file.metadata()?.ino();
        let mut reader = BufReader::new(file);
        let mut offset = 0;
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            offset += u64::try_from(read).unwrap_or_default();
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
            if lines.len() > count {
                lines.pop_front();
            }
        }
        *end = Place { inode, offset };
    }
    Ok(lines)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
