//! `logs/gateway.log`: written by the gateway itself, put away by the supervisor, read by `kt gateway logs`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use instance::Place;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use service_kit::drain::DrainWatcher;
use tokio::time::{MissedTickBehavior, interval};

/// A log beyond this is put away under a number.
const ROTATE_AT: u64 = 8 * 1024 * 1024;
/// How many are kept beside the one that is written.
const KEPT: u32 = 5;
/// Between two looks at how long it is.
const LOOK: Duration = Duration::from_secs(10);
/// Where the reason of an end stands: in the last of it.
const LAST: u64 = 64 * 1024;
/// One line of a log, told in an error.
const LONGEST_REASON: usize = 600;

/// The log of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct LogFiles {
    path: PathBuf,
}

// === impl LogFiles ===

impl LogFiles {
    pub(crate) fn of(place: &Place) -> Self {
        Self { path: place.logs().join("gateway.log") }
    }

    /// What is written now.
    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// The files there may be, the oldest first.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        (1..=KEPT).rev().map(|number| self.numbered(number)).chain([self.path.clone()]).collect()
    }

    /// To be written at its end by whoever has it.
    pub(super) fn append(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(O_NOFOLLOW | O_NONBLOCK)
            .open(&self.path)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
        }
    }

    pub(super) fn length(&self) -> u64 {
        fs::metadata(&self.path).map(|found| found.len()).unwrap_or_default()
    }

    /// A line of the supervisor's own. A log that cannot be written is no reason to do anything else.
    pub(super) fn say(&self, text: &str) {
        let at = service_kit::clock::Clock::system().now();
        let at = at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
        if let Ok(mut file) = self.append() {
            let _ = file.write_all(format!("{at}  INFO supervisor: {text}\n").as_bytes());
        }
    }

    /// Puts a long log away: the gateway has it open for good, so it is copied and cut.
    pub(super) fn rotate(&self) {
        if self.length() > ROTATE_AT {
            // A disk that does not take the copy keeps the log in one piece.
            let _ = self.put_away();
        }
    }

    /// Why the process that began to write at `from` ended: its last `error: …`, else its last line.
    pub(super) fn reason(&self, from: u64) -> Option<String> {
        let text = self.tail(from).ok()?;
        let lines = || text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        let error = lines().find_map(|line| line.strip_prefix("error: "));
        let line = error.or_else(|| lines().find(|line| !line.contains(" supervisor: ")))?;
        Some(line.chars().take(LONGEST_REASON).collect())
    }

    fn tail(&self, from: u64) -> io::Result<String> {
        let mut file =
            OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(&self.path)?;
        let length = file.metadata()?.len();
        // It may have been put away meanwhile, and begin anew.
        let from = if from > length { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(LAST))))?;
        let mut bytes = Vec::new();
        file.take(LAST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn put_away(&self) -> io::Result<()> {
        let mut from = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NOFOLLOW | O_NONBLOCK)
            .open(&self.path)?;
        let unfinished = self.path.with_extension("log.new");
        // The copy first: where it cannot be made, those that are kept stay.
        if let Err(error) = copy(&mut from, &unfinished) {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        for number in (1..KEPT).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&unfinished, self.numbered(1))?;
        from.set_len(0)
    }

    /// `gateway.log.1` and so on, the higher the older.
    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("log.{number}"))
    }
}

/// Puts a long log away whenever there is one, until the drain begins.
pub(super) async fn keep_short(log: LogFiles, drain: DrainWatcher) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            _ = looks.tick() => log.rotate(),
        }
    }
}

fn copy(from: &mut File, path: &Path) -> io::Result<()> {
    let mut to = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(path)?;
    io::copy(from, &mut to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &std::path::Path) -> LogFiles {
        LogFiles { path: dir.join("gateway.log") }
    }

    #[test]
    fn a_long_log_is_put_away_while_somebody_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = files(dir.path());
        let mut writer = log.append().unwrap();
        for round in 0..KEPT + 2 {
            writer.write_all(format!("first of {round}\n").as_bytes()).unwrap();
            log.rotate();
            assert!(log.length() > 0, "a short one stays");
            writer.set_len(ROTATE_AT + 1).unwrap();
            log.rotate();
            assert_eq!(log.length(), 0);
        }
        writer.write_all(b"after\n").unwrap();
        assert_eq!(fs::read(log.path()).unwrap(), b"after\n", "it goes on at the beginning");
        let kept: Vec<_> = log.all().into_iter().filter(|path| path.exists()).collect();
        assert_eq!(kept.len(), 6);
        let oldest = fs::read(&kept[0]).unwrap();
        assert!(oldest.starts_with(b"first of 2\n"), "{}", String::from_utf8_lossy(&oldest[..20]));
    }

    #[test]
    fn a_log_that_cannot_be_copied_costs_none_of_those_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = files(dir.path());
        log.append().unwrap().set_len(ROTATE_AT + 1).unwrap();
        fs::write(log.numbered(1), "kept").unwrap();
        // What stands in the way of the copy, as a full disk would.
        fs::create_dir(dir.path().join("gateway.log.new")).unwrap();
        for _ in 0..KEPT + 1 {
            log.rotate();
        }
        assert_eq!(fs::read(log.numbered(1)).unwrap(), b"kept");
        assert!(log.length() > ROTATE_AT);
    }

    #[test]
    fn the_reason_of_an_end_is_what_it_said_last() {
        let dir = tempfile::tempdir().unwrap();
        let log = files(dir.path());
        assert_eq!(log.reason(0), None);
        fs::write(log.path(), "error: of the one before\n").unwrap();
        let from = log.length();
        assert_eq!(log.reason(from), None);
        log.append().unwrap().write_all(b"x INFO starting\nerror: --listen: taken\n\n").unwrap();
        log.say("it ended");
        assert_eq!(log.reason(from).as_deref(), Some("--listen: taken"));
        assert_eq!(log.reason(from * 1000).as_deref(), Some("--listen: taken"), "it was put away meanwhile");
        fs::write(log.path(), "thread main panicked\n").unwrap();
        assert_eq!(log.reason(0).as_deref(), Some("thread main panicked"));
    }

    #[test]
    fn what_is_no_file_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let log = files(dir.path());
        nix::unistd::mkfifo(log.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(log.append().is_err());
    }
}
