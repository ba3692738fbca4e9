//! `history.jsonl`: what happened to a gateway, one JSON object a line, the oldest first.
//!
//! `kt`, its supervisor and the gateway all append. A line is whole or not at all, also on a full disk; a line that a
//! crash tore is closed by the next append and skipped by readers, who say so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::documents::{Finding, Version};
use crate::lock::Lock;
use crate::{Place, durable};

/// What was done, or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Install,
    Start,
    Stop,
    Restart,
    Reload,
    Revert,
    CrashFallback,
    Uninstall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    NoChange,
    Withdrawn,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// A UUID.
    pub id: String,
    pub action: Action,
    /// When the outcome was there.
    #[serde(with = "crate::text::time")]
    pub at: OffsetDateTime,
    /// Who asked: a user of this host, `SIGHUP`, `control-plane`, `supervisor`, `admin.token`.
    pub actor: String,
    pub outcome: Outcome,
    /// What ran before.
    pub from: Option<Version>,
    /// What was wanted.
    pub to: Option<Version>,
    /// What ran afterwards.
    pub observed: Option<Version>,
    pub duration_ms: u64,
    /// Why it was asked for, or why it failed.
    pub reason: Option<String>,
    /// The stage that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Errors of what failed, warnings of what succeeded.
    pub findings: Vec<Finding>,
}

/// The history of one gateway.
#[derive(Debug, Clone)]
pub struct History {
    path: PathBuf,
}

/// What could be read.
#[derive(Debug, Default)]
pub struct Told {
    /// The oldest first.
    pub records: Vec<HistoryRecord>,
    /// Lines that are none: torn, damaged, or of a later release.
    pub unreadable: usize,
}

/// A file beyond this is put away under a number; some thousand records.
const ROTATE_AT: u64 = 1024 * 1024;
/// How many are kept beside the one that is written.
const KEPT: u32 = 4;
/// More than any of ours: rotation happens before it, unless somebody else writes.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Whoever holds the lock for longer is stopped, or stuck.
const TURN_WITHIN: Duration = Duration::from_secs(30);
/// What one record tells at most of what a hostile pack gets wrong.
const MOST_FINDINGS: usize = 32;

// === impl History ===

impl History {
    pub fn of(place: &Place) -> Self {
        Self::at(place.history())
    }

    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds one line, durably.
    ///
    /// # Errors
    /// The disk does not take it, or another program keeps the lock for half a minute; the file is as it was.
    pub fn append(&self, record: &HistoryRecord) -> io::Result<()> {
        let mut record = record.clone();
        record.findings.truncate(MOST_FINDINGS);
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        let turn = Lock::take_within(&self.lock(), TURN_WITHIN)?;
        let _turn =
            turn.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "another program holds its lock"))?;
        let rotated = self.rotate().unwrap_or_else(|error| {
            tracing::warn!(path = %self.path.display(), %error,
                "the history cannot be put away under a number; it grows on where it is");
            false
        });
        let is_new = rotated || fs::symlink_metadata(&self.path).is_err();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(O_NOFOLLOW | O_NONBLOCK)
            .open(&self.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let length = metadata.len();
        if length > 0 && !ends_a_line(&file, length)? {
            // The half of a line that a crash left must not swallow this one.
            line.insert(0, b'\n');
        }
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        let written = written.and_then(|()| if is_new { self.sync_names() } else { Ok(()) });
        if written.is_err() {
            // What a full disk took of it is no line. If that fails too, the next append closes the half.
            let _ = file.set_len(length);
        }
        written
    }

    /// Everything that can be read; no file is an empty history.
    ///
    /// # Errors
    /// A file is there and cannot be read at all.
    pub fn read(&self) -> io::Result<Told> {
        self.opening()
            .collect::<io::Result<Vec<_>>>()
            .and_then(|opened| Told::of(opened.into_iter().flatten()))
    }

    /// The files, the newest first: a rotation meanwhile makes files older only, so that none is passed by, and the one
    /// that is met twice is known. `None`: it is not there.
    fn opening(&self) -> impl Iterator<Item = io::Result<Option<File>>> {
        self.files().into_iter().map(|path| match durable::open_no_link(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// The files there may be, the newest first.
    pub fn files(&self) -> Vec<PathBuf> {
        std::iter::once(self.path.clone()).chain((1..=KEPT).map(|number| self.numbered(number))).collect()
    }

    /// Whether it was done.
    fn rotate(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) if found.len() >= ROTATE_AT => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        for number in (1..KEPT).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, self.numbered(1)).map(|()| true)
    }

    /// Makes the names durable.
    fn sync_names(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }

    /// `history.1.jsonl` and so on, the higher the older.
    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("{number}.jsonl"))
    }

    fn lock(&self) -> PathBuf {
        self.path.with_extension("lock")
    }
}

// === impl Told ===

impl Told {
    /// Of the newest file first.
    fn of(newest_first: impl Iterator<Item = File>) -> io::Result<Self> {
        let mut files: Vec<((u64, u64), File)> = Vec::new();
        for file in newest_first {
            let found = file.metadata()?;
            let identity = (found.dev(), found.ino());
            if !files.iter().any(|(known, _)| *known == identity) {
                files.push((identity, file));
            }
        }
        let mut told = Self::default();
        for (_, file) in files.iter().rev() {
            told.add(file)?;
        }
        Ok(told)
    }

    fn add(&mut self, file: &File) -> io::Result<()> {
        let bytes = durable::read_open(file, LARGEST)?;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(record) => self.records.push(record),
                Err(_) => self.unreadable += 1,
            }
        }
        Ok(())
    }
}

fn ends_a_line(file: &File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> HistoryRecord {
        HistoryRecord {
            id: id.to_owned(),
            action: Action::Reload,
            at: OffsetDateTime::UNIX_EPOCH,
            actor: "root".to_owned(),
            outcome: Outcome::Succeeded,
            from: None,
            to: None,
            observed: None,
            duration_ms: 3,
            reason: None,
            stage: None,
            findings: Vec::new(),
        }
    }

    fn ids(told: &Told) -> Vec<&str> {
        told.records.iter().map(|record| record.id.as_str()).collect()
    }

    #[test]
    fn what_is_told_is_in_order_and_a_torn_line_costs_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::at(dir.path().join("history.jsonl"));
        assert!(history.read().unwrap().records.is_empty());
        history.append(&record("1")).unwrap();
        let mut torn = OpenOptions::new().append(true).open(dir.path().join("history.jsonl")).unwrap();
        torn.write_all(br#"{"id":"2","acti"#).unwrap();
        history.append(&record("3")).unwrap();
        let told = history.read().unwrap();
        assert_eq!((ids(&told), told.unreadable), (vec!["1", "3"], 1));
    }

    #[test]
    fn a_long_history_is_put_away_in_files_and_stays_readable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let history = History::at(path.clone());
        let mut written = Vec::new();
        for round in 0..u64::from(KEPT + 2) {
            let id = format!("first of {round}");
            history.append(&record(&id)).unwrap();
            written.push(id);
            // As a thousand records would.
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(ROTATE_AT).unwrap();
        }
        history.append(&record("last")).unwrap();
        written.push("last".to_owned());
        let told = history.read().unwrap();
        assert_eq!(ids(&told), written.iter().skip(2).map(String::as_str).collect::<Vec<_>>());
        assert_eq!(history.files().iter().filter(|file| file.exists()).count(), 5);
    }

    /// As a thousand records would.
    fn grow(path: &std::path::Path) {
        OpenOptions::new().write(true).open(path).unwrap().set_len(ROTATE_AT).unwrap();
    }

    #[test]
    fn a_rotation_while_it_is_read_loses_and_doubles_nothing() {
        for opened_before in 0..=5 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("history.jsonl");
            let history = History::at(path.clone());
            for round in 0..3 {
                history.append(&record(&round.to_string())).unwrap();
                grow(&path);
            }
            let mut opening = history.opening();
            let mut opened: Vec<_> = opening.by_ref().take(opened_before).collect();
            history.append(&record("3")).unwrap();
            opened.extend(opening);
            let told = Told::of(opened.into_iter().filter_map(|file| file.unwrap())).unwrap();
            let wanted: &[&str] = if opened_before == 0 { &["0", "1", "2", "3"] } else { &["0", "1", "2"] };
            assert_eq!(ids(&told), wanted, "{opened_before} were open");
        }
    }

    #[test]
    fn a_history_that_cannot_be_put_away_grows_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let history = History::at(path.clone());
        history.append(&record("1")).unwrap();
        grow(&path);
        // Not even root renames a file over a directory.
        fs::create_dir(dir.path().join("history.1.jsonl")).unwrap();
        for number in 2..=KEPT {
            fs::create_dir_all(dir.path().join(format!("history.{number}.jsonl/in it"))).unwrap();
        }
        history.append(&record("2")).unwrap();
        let mut told = Told::default();
        told.add(&File::open(&path).unwrap()).unwrap();
        assert_eq!(ids(&told), ["1", "2"]);
    }

    #[test]
    fn many_writers_spoil_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let history = History::at(path.clone());
                scope.spawn(move || {
                    for number in 0..25 {
                        history.append(&record(&format!("{writer}-{number}"))).unwrap();
                    }
                });
            }
        });
        let told = History::at(path).read().unwrap();
        assert_eq!((told.records.len(), told.unreadable), (200, 0));
    }

    #[test]
    fn what_is_no_file_is_refused_and_does_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let history = History::at(path);
        history.append(&record("1")).unwrap_err();
        history.read().unwrap_err();
    }
}
