//! The one task that owns the decision file: batches, rotates by size, survives a full disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use service_kit::drain::DrainWatcher;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Decision, DecisionLog, line};

/// Rotate once the file holds this much.
pub(super) const ROTATE_AT: u64 = 64 * 1024 * 1024;

/// Full files that are kept beside it: `.1` is the youngest.
const KEPT: usize = 4;

/// Between two batches, unless there are more events than one takes. A request that finds nobody waiting for its event
/// wakes no thread.
const GATHER: Duration = Duration::from_millis(20);

/// Events written with one call, unless their contents are more than `PIECE`.
const BATCH: usize = 512;

/// About as long as a line is, bytes.
const LINE: usize = 1024;
/// Bytes of content after which no further event is written with the same call.
const PIECE: usize = 1024 * 1024;

/// Between two words about events that were dropped.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// The open file and how much is in it.
pub(super) struct EventFile {
    path: PathBuf,
    rotate_at: u64,
    open: Option<(File, u64)>,
}

/// Writes until drain was signalled and nobody can send any more.
pub(super) async fn run(
    mut file: EventFile,
    queue: mpsc::Sender<Box<Decision>>,
    mut events: mpsc::Receiver<Box<Decision>>,
    log: DecisionLog,
    drain: DrainWatcher,
) {
    // This sender keeps the queue open between connections; without it the queue closes with the
    // last connection.
    let mut keep_open = Some(queue);
    let mut failing = false;
    let (mut reported, mut said) = (0, None::<Instant>);
    loop {
        let mut batch = Vec::new();
        let received = tokio::select! {
            received = events.recv_many(&mut batch, BATCH) => received,
            () = drain.signaled(), if keep_open.is_some() => {
                keep_open = None;
                continue;
            }
        };
        if received == 0 {
            return;
        }
        let content = batch.iter().map(|decision| decision.content()).sum();
        // File writes block: they belong on the blocking pool, one at a time, in order.
        let written = tokio::task::spawn_blocking(move || {
            let (written, result) = file.append_all(&batch);
            (file, written, result)
        });
        let outcome = written.await;
        log.release(content);
        let Ok((returned, written, result)) = outcome else {
            tracing::error!("the decision log writer failed; no further events are written");
            return;
        };
        file = returned;
        log.count_written(written as u64);
        match result {
            Ok(()) => {
                if failing {
                    tracing::info!(path = %file.path.display(), "decision events are written again");
                }
                failing = false;
            }
            Err(error) => {
                log.count_dropped((received - written) as u64);
                if !failing {
                    tracing::warn!(
                        path = %file.path.display(), %error,
                        "decision events are being dropped: the file cannot be written"
                    );
                }
                failing = true;
            }
        }
        let dropped = log.dropped();
        if failing {
            reported = dropped;
        } else if dropped > reported && said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            tracing::warn!(dropped = dropped - reported, "decision events were dropped: the queue was full");
            (reported, said) = (dropped, Some(Instant::now()));
        }
        if keep_open.is_some() && received < BATCH {
            tokio::time::sleep(GATHER).await;
        }
    }
}

// === impl EventFile ===

impl EventFile {
    pub(super) fn open(path: &Path, rotate_at: u64) -> io::Result<Self> {
        let opened = open_for_append(path)?;
        Ok(Self { path: path.to_owned(), rotate_at, open: Some(opened) })
    }

    /// How many were written, and why not all.
    fn append_all(&mut self, batch: &[Box<Decision>]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest) = batch.get(written..).filter(|rest| !rest.is_empty()) {
            let mut content = 0;
            let fitting = rest.iter().take_while(|decision| {
                let fits = content < PIECE;
                content += decision.content();
                fits
            });
            let count = fitting.count();
            if let Err(error) = self.append(&encode(rest.get(..count).unwrap_or(rest))) {
                return (written, Err(error));
            }
            written += count;
        }
        (written, Ok(()))
    }

    /// Appends whole lines. After an error the file is opened anew at the next call.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let (mut file, size) = match self.open.take() {
            Some((file, size)) if size >= self.rotate_at => {
                // A process that took over writes here too, and may have put the full one away already. What is no
                // file (/dev/null) is left where it is.
                if is_at(&file, &self.path) {
                    self.put_away()?;
                }
                open_for_append(&self.path)?
            }
            Some(opened) => opened,
            None => open_for_append(&self.path)?,
        };
        file.write_all(lines)?;
        self.open = Some((file, size + lines.len() as u64));
        Ok(())
    }

    /// The oldest is overwritten.
    fn put_away(&self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match fs::rename(self.rotated(number), self.rotated(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.rotated(1))
    }

    fn rotated(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    there.is_file() && (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// A line that a crash or a full disk tore is closed first, so that the next one stands alone.
fn open_for_append(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(path)?;
    if !file.metadata()?.is_file() {
        // A device or pipe has neither size nor last line.
        return Ok((file, 0));
    }
    let mut size = file.seek(SeekFrom::End(0))?;
    if size > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0u8];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            size += 1;
        }
    }
    Ok((file, size))
}

fn encode(batch: &[Box<Decision>]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(batch.len() * LINE);
    for decision in batch {
        line::append(&mut lines, decision);
    }
    lines
}
