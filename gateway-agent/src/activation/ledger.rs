//! The gateway's memory on disk: `packs/<hex>.yaml` and `standing.json` with one copy of what it said before.
//!
//! Every write is whole or not at all. What is spoiled or belongs to another gateway is set aside
//! and said, never run and never a reason not to start. It must not decide what runs.

mod format;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use policy_config::ConfigDigest;

use super::record::Record;
use instance::{Place, durable};

pub use format::Owner;
use format::Stored;

/// The one writer of a gateway's standing and packs.
#[derive(Debug)]
pub struct Ledger {
    place: Place,
    owner: Owner,
    /// A pack that was put here to be the first one: it is neither forgotten nor started by itself.
    installed: Option<ConfigDigest>,
    /// The number of the last write of the standing. It only grows, so that an older copy can be told.
    writes: AtomicU64,
}

/// What was found at a start.
#[derive(Debug)]
pub struct Found {
    pub record: Record,
    /// What may be started, the best first; see [`Record::start_order`].
    pub bootable: Vec<ConfigDigest>,
    /// What was spoiled and what was done about it, for the log.
    pub remarks: Vec<String>,
}

/// What the disk does not do now; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("`{}` cannot be written: {error}", path.display())]
    Unwritten { path: PathBuf, error: io::Error },
    /// It may be whole, and readable a moment later.
    #[error("`{}` cannot be read: {error}", path.display())]
    Unread { path: PathBuf, error: io::Error },
}

/// What lies in a pack's place.
enum Bytes {
    Whole(Vec<u8>),
    Missing,
    /// Something else than its name says, and why.
    Other(String),
}

/// Larger than any pack that lint accepts.
const LARGEST_PACK: u64 = 1024 * 1024;
const LARGEST_STANDING: u64 = 4 * 1024 * 1024;

// === impl Ledger ===

impl Ledger {
    pub fn new(dir: &Path, owner: Owner) -> Self {
        let place = Place::at(&owner.instance, dir.to_owned());
        Self { place, owner, installed: None, writes: AtomicU64::new(0) }
    }

    /// As it is of a gateway that was installed with this pack.
    pub fn with_installed(self, installed: Option<ConfigDigest>) -> Self {
        Self { installed, ..self }
    }

    /// Whose memory it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Reads what an earlier process left; whatever it is, there is an answer.
    pub fn load(&self) -> Found {
        durable::remove_unfinished(self.place.dir());
        durable::remove_unfinished(&self.packs());
        let mut remarks = Vec::new();
        let (mut record, foreign) = self.load_record(&mut remarks);
        match &mut record {
            Some(record) => {
                if remarks.is_empty() {
                    self.forget_leftovers(record);
                }
                record.kept.retain(|pack| self.is_left(pack.digest, &mut remarks));
            }
            None if foreign => {}
            None => {
                let mut left = self.packs_left(&mut remarks);
                if remarks.is_empty() && left.iter().all(|digest| Some(*digest) == self.installed) {
                    // Nothing was lost: this is the first start.
                    left.clear();
                }
                if !left.is_empty() {
                    remarks.push("starting the newest pack on disk, because no standing is left".to_owned());
                }
                return Found { record: Record::default(), bootable: left, remarks };
            }
        }
        let record = record.unwrap_or_default();
        let bootable = record.start_order();
        Found { record, bootable, remarks }
    }

    /// The bytes of a kept pack. `None`: they are gone, or are not what its name says.
    ///
    /// # Errors
    /// They cannot be read now, which says nothing about them.
    pub fn pack(&self, digest: ConfigDigest) -> Result<Option<Vec<u8>>, LedgerError> {
        match self.bytes(digest)? {
            Bytes::Whole(bytes) => Ok(Some(bytes)),
            Bytes::Missing | Bytes::Other(_) => Ok(None),
        }
    }

    /// Makes a pack durable. Until the record names it, it is nothing.
    pub fn keep_pack(&self, digest: ConfigDigest, source: &[u8]) -> Result<(), LedgerError> {
        let path = self.pack_path(digest);
        if let Err(error) = durable::write(&path, source) {
            return Err(LedgerError::Unwritten { path, error });
        }
        if let Err(error) = self.make_newest(&path, digest) {
            // it counts only where a standing is lost one day
            tracing::warn!(path = %path.display(), %error, "a pack cannot be marked as the newest");
        }
        Ok(())
    }

    /// Two may be written within one tick of the file system's clock, and that may be set back.
    fn make_newest(&self, path: &Path, digest: ConfigDigest) -> io::Result<()> {
        let others = self.pack_files().into_iter().filter(|(_, other)| *other != digest);
        let Some(newest) = others.filter_map(|(written, _)| written).max() else { return Ok(()) };
        let file = durable::open_no_link(path)?;
        if file.metadata()?.modified()? <= newest {
            file.set_modified(newest + Duration::from_nanos(1))?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Makes the record durable. After an error the disk says what it said before.
    pub fn keep_record(&self, record: &Record) -> Result<(), LedgerError> {
        let path = self.standing();
        // One task writes. A file from elsewhere may hold any number.
        let write = self.writes.load(Ordering::Relaxed).saturating_add(1);
        self.writes.store(write, Ordering::Relaxed);
        if record.trial.is_some_and(|trial| trial.running) {
            self.mark()?;
        }
        let written = format::encode(record, &self.owner, write)
            .and_then(|text| durable::write_keeping(&path, &self.previous(), text.as_bytes()));
        written.map_err(|error| LedgerError::Unwritten { path, error })
    }

    /// Says that no pack is on trial any more, or none runs: an end from now on is no crash of it. A disk that is too
    /// full for another standing takes that.
    pub fn unmark(&self) -> Result<(), LedgerError> {
        let path = self.on_trial();
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // No file of ours: it only has to be gone.
            Err(_) if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) => {
                durable::set_aside(&path).map(drop)
            }
            removed => removed.and_then(|()| File::open(self.place.dir())?.sync_all()),
        };
        removed.map_err(|error| LedgerError::Unwritten { path, error })
    }

    /// Made before the standing says that a pack on trial runs; the sync of the standing's name is this one's too.
    fn mark(&self) -> Result<(), LedgerError> {
        let path = self.on_trial();
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(LedgerError::Unwritten { path, error })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Removes the bytes of packs that the record no longer names.
    pub fn forget_packs(&self, forgotten: &[ConfigDigest]) {
        for digest in forgotten.iter().filter(|digest| Some(**digest) != self.installed) {
            let path = self.pack_path(*digest);
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "an old pack cannot be removed");
            }
        }
    }

    /// The newest whole record of this gateway, and whether one of another gateway lay here.
    fn load_record(&self, remarks: &mut Vec<String>) -> (Option<Record>, bool) {
        let mut foreign = false;
        let mut standing = self.load_slot(&self.standing(), &mut foreign, remarks);
        let previous = self.load_slot(&self.previous(), &mut foreign, remarks);
        let writes = [&standing, &previous].map(|slot| slot.as_ref().and_then(|stored| stored.write));
        self.writes.store(writes.into_iter().flatten().max().unwrap_or_default(), Ordering::Relaxed);
        // A release that does not count may have written the newer one: only two numbers can be compared.
        if let [Some(newer), Some(older)] = writes
            && newer < older
        {
            let path = self.standing();
            remarks.push(format!(
                "`{}` is not used: it is an older copy, its write counter {newer} is lower than {older} of `{}`",
                path.display(),
                self.previous().display()
            ));
            self.put_aside(&path, remarks);
            standing = None;
        }
        if standing.is_none() && previous.is_some() {
            remarks.push(format!("the standing is the one before, of `{}`", self.previous().display()));
        }
        let newest = standing.or(previous).map(|stored| self.with_mark(stored));
        let foreign = foreign && newest.is_none();
        (newest, foreign)
    }

    /// That a pack on trial runs is believed where the mark says so too: an end in order takes it away even where the
    /// standing cannot be written any more.
    fn with_mark(&self, stored: Stored) -> Record {
        let Stored { mut record, marked, .. } = stored;
        let is_marked = || fs::symlink_metadata(self.on_trial()).is_ok();
        if let Some(trial) = record.trial.as_mut().filter(|trial| trial.running) {
            trial.running = !marked || is_marked();
        }
        record
    }

    fn load_slot(&self, path: &Path, foreign: &mut bool, remarks: &mut Vec<String>) -> Option<Stored> {
        let bytes = match durable::read(path, LARGEST_STANDING) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                remarks.push(format!("`{}` cannot be read: {error}", path.display()));
                // Another user's file is no spoiled one.
                if error.kind() != io::ErrorKind::PermissionDenied {
                    self.put_aside(path, remarks);
                }
                return None;
            }
        };
        match format::decode(&bytes, &self.owner) {
            Ok(stored) => Some(stored),
            Err(error) => {
                *foreign |= matches!(error, format::FormatError::Foreign { .. });
                remarks.push(format!("`{}` is not used: {error}", path.display()));
                self.put_aside(path, remarks);
                None
            }
        }
    }

    /// Packs that a whole standing does not name are of activations that did not come to pass: a crash lay
    /// between their write and the record's, or their removal failed. Should the standing be lost one day, none
    /// of them may be the newest pack on disk.
    ///
    /// Where a standing was set aside, they may be what it named: whoever looks at it finds them.
    fn forget_leftovers(&self, record: &Record) {
        let standings = [self.standing(), self.previous()];
        if standings.iter().any(|path| durable::was_set_aside(path)) {
            return;
        }
        let left = self.pack_files().into_iter().map(|(_, digest)| digest);
        let left: Vec<_> = left.filter(|digest| record.pack(*digest).is_none()).collect();
        self.forget_packs(&left);
    }

    /// Whether it may still be used: what cannot be read now stays where it is, and in the record.
    fn is_left(&self, digest: ConfigDigest, remarks: &mut Vec<String>) -> bool {
        let path = self.pack_path(digest);
        match self.bytes(digest) {
            Ok(Bytes::Whole(_)) => true,
            Ok(Bytes::Missing) => {
                remarks.push(format!("`{}` is not used: it is gone", path.display()));
                false
            }
            Ok(Bytes::Other(why)) => {
                remarks.push(format!("`{}` is not used: {why}", path.display()));
                self.put_aside(&path, remarks);
                false
            }
            Err(error) => {
                remarks.push(format!("{error}; it stays"));
                true
            }
        }
    }

    fn bytes(&self, digest: ConfigDigest) -> Result<Bytes, LedgerError> {
        let path = self.pack_path(digest);
        match durable::read(&path, LARGEST_PACK) {
            Ok(bytes) if ConfigDigest::of(&bytes) == digest => Ok(Bytes::Whole(bytes)),
            Ok(_) => Ok(Bytes::Other("its bytes are not what its name says".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bytes::Missing),
            Err(error) if durable::is_no_such_file(&error) => Ok(Bytes::Other(error.to_string())),
            Err(error) => Err(LedgerError::Unread { path, error }),
        }
    }

    /// Whole packs without a record, the newest first. Each passed every stage when it was written.
    fn packs_left(&self, remarks: &mut Vec<String>) -> Vec<ConfigDigest> {
        let mut left = self.pack_files();
        left.retain(|(_, digest)| self.is_left(*digest, remarks));
        left.sort();
        left.into_iter().rev().map(|(_, digest)| digest).collect()
    }

    /// What has the name of a pack, and when it was written.
    fn pack_files(&self) -> Vec<(Option<SystemTime>, ConfigDigest)> {
        let Ok(entries) = fs::read_dir(self.packs()) else { return Vec::new() };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(".yaml"));
            let Some(Ok(digest)) = digest.map(|hex| format!("sha256:{hex}").parse()) else { continue };
            files.push((entry.metadata().and_then(|metadata| metadata.modified()).ok(), digest));
        }
        files
    }

    fn put_aside(&self, path: &Path, remarks: &mut Vec<String>) {
        match durable::set_aside(path) {
            Ok(aside) => remarks.push(format!("it is kept as `{}`", aside.display())),
            Err(error) => remarks.push(format!("it cannot be moved aside: {error}")),
        }
    }

    fn packs(&self) -> PathBuf {
        self.place.packs()
    }

    fn pack_path(&self, digest: ConfigDigest) -> PathBuf {
        self.place.pack(digest)
    }

    fn standing(&self) -> PathBuf {
        self.place.standing()
    }

    fn previous(&self) -> PathBuf {
        self.place.previous_standing()
    }

    /// There for as long as a process runs a pack on trial.
    fn on_trial(&self) -> PathBuf {
        self.place.dir().join("on-trial")
    }
}

#[cfg(test)]
mod tests;
