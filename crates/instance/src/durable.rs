//! Files that must survive a crash whole: written beside their place, synced, renamed, directory synced.
//!
//! A reader sees the old bytes or the new ones, never a part. It must not know what the bytes mean.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::libc::{O_DIRECTORY, O_NOFOLLOW};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use service_kit::failpoint::pass_blocking;

/// Ends the name of a file that is being written; what is left of it after a crash is removed.
pub const UNFINISHED: &str = ".tmp";

/// Makes the directory and its missing parents, durably, and takes everybody else's rights to it away.
pub fn private_dir(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        // Made by an earlier start, which may have ended before the sync. A disk that refuses it now will refuse the
        // next write too, and that one is told; what is there can be served.
        Ok(found) if found.is_dir() => drop(sync_name(path)),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(path)?;
        }
        Err(error) => return Err(error),
    }
    match open_dir(path) {
        Ok(dir) => restrict(&dir),
        // Of ours, and its owner may not read it either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Ok(fchmodat(AT_FDCWD, path, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?)
        }
        // As above: the disk will tell who writes, and what is there can be served.
        Err(_) if is_private(path) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether it is a directory of which others have no rights.
fn is_private(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o777 == 0o700)
}

/// Opens a directory, and no link to one.
pub(crate) fn open_dir(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(O_DIRECTORY | O_NOFOLLOW).open(path)
}

/// Takes everybody else's rights to what is open away.
pub(crate) fn restrict(dir: &File) -> io::Result<()> {
    match dir.metadata()?.permissions().mode() & 0o777 {
        0o700 => Ok(()),
        _ => dir.set_permissions(Permissions::from_mode(0o700)),
    }
}

/// Replaces `path`, 0600. After `Ok` it survives a crash of the machine; after an error it holds the old bytes or
/// the new ones, and which of them a crash leaves is not known.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let place = Place::of(path)?;
    let unfinished = stage(path, bytes)?;
    pass_blocking("file.staged")?;
    put(&unfinished, path)?;
    pass_blocking("file.renamed")?;
    place.sync()
}

/// Replaces `path`, 0600, whole or not at all, for what may be lost with a crash of the machine: nothing is synced.
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = fill(path, bytes, |_| Ok(()))?;
    put(&unfinished, path)
}

/// As [`write()`], and what was there is kept as `previous`; at every moment one of the two is whole.
///
/// An error means that `path` holds what it held before, for whoever reads it after this process.
pub fn write_keeping(path: &Path, previous: &Path, bytes: &[u8]) -> io::Result<()> {
    write_keeping_in(&Place::of(path)?, path, previous, bytes)
}

/// Reads a regular file of at most `limit` bytes, following no link.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(&open_no_link(path)?, limit)
}

/// As [`open`], and follows no link at its end.
pub fn open_no_link(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path)
}

/// Opens for reading; a FIFO without a writer does not hold us up. Links are followed.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
}

/// Reads an open file, unless it is not a regular one or holds more than `limit` bytes.
pub fn read_open(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it holds more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Whether what [`read`] refused is something else than a file that it would read: a directory, a link, a device, a file
/// that is too large. Every other error may pass by itself.
pub fn is_no_such_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge)
        || error.raw_os_error() == Some(nix::libc::ELOOP)
}

/// Whether [`set_aside`] moved one of this name, and it still lies there.
pub fn was_set_aside(path: &Path) -> bool {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let prefix = format!("{}.bad-", name.to_string_lossy());
    // A directory that cannot be listed may hold one.
    fs::read_dir(dir).map_or(true, |entries| {
        entries.map_while(Result::ok).any(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
    })
}

/// Moves a spoiled file to the first free `<name>.bad-<n>` beside it, for somebody to look at.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..1000 {
        let aside = with_suffix(path, &format!(".bad-{number}"));
        if fs::symlink_metadata(&aside).is_err() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    // A thousand are evidence enough.
    fs::remove_file(path)?;
    Ok(path.to_owned())
}

/// Removes what crashes left half written. Never follows a link, never fails: it is only untidiness.
pub fn remove_unfinished(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_keeping_in(place: &Place, path: &Path, previous: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = stage(path, bytes)?;
    let had_one = keep_as(path, previous).inspect_err(|_| drop_unfinished(&unfinished))?;
    pass_blocking("standing.staged")?;
    put(&unfinished, path)?;
    pass_blocking("standing.renamed").map_err(io::Error::from).and_then(|()| place.sync()).inspect_err(|_| {
        // The rename was seen and may reach the disk or not. Whoever is told of an error goes on as before, so
        // the next start must find what was there before.
        let back = if had_one { put_back(path, previous) } else { fs::remove_file(path) };
        // If that fails too, the next write that succeeds settles it; there is nothing better to do.
        let _ = back.and_then(|()| place.sync());
    })
}

/// Parents first, each name synced: a file is not durable in a directory that is not.
fn make_dir(path: &Path) -> io::Result<()> {
    let make = || DirBuilder::new().mode(0o700).create(path);
    let made = match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().ok_or(error)?;
            make_dir(parent)?;
            make()
        }
        made => made,
    };
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => sync_name(path),
    }
}

/// Makes the name of a directory durable. Somebody else's parent that may not be read is theirs to keep.
fn sync_name(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(File::open) {
        None => Ok(()),
        Some(Ok(parent)) => parent.sync_all(),
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Some(Err(error)) => Err(error),
    }
}

/// The directory of a file, opened before anything in it is changed: where that fails, nothing has happened yet.
struct Place(Option<File>);

// === impl Place ===

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        path.parent().map(File::open).transpose().map(Self)
    }

    /// Makes the names in it durable.
    fn sync(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), File::sync_all)
    }
}

/// Writes and syncs the new file beside its place. What could not be synced is never looked at again: its pages
/// may count as clean although they never reached the disk, so that a second sync would succeed and lie. Each try
/// begins with a new file.
fn stage(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    fill(path, bytes, File::sync_all)
}

fn fill(path: &Path, bytes: &[u8], settle: impl FnOnce(&File) -> io::Result<()>) -> io::Result<PathBuf> {
    let unfinished = with_suffix(path, UNFINISHED);
    drop_unfinished(&unfinished);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW)
        .open(&unfinished)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            settle(&file)
        });
    if written.is_err() {
        // On a full disk the half is in the way of the next try.
        drop_unfinished(&unfinished);
    }
    written.map(|()| unfinished)
}

fn put(unfinished: &Path, path: &Path) -> io::Result<()> {
    fs::rename(unfinished, path).inspect_err(|_| drop_unfinished(unfinished))
}

/// Gives what is there a second name, atomically; false: there is nothing.
fn keep_as(path: &Path, previous: &Path) -> io::Result<bool> {
    let link = with_suffix(previous, UNFINISHED);
    drop_unfinished(&link);
    match fs::hard_link(path, &link) {
        Ok(()) => {
            put(&link, previous)?;
            // A rename of two links to one file does nothing and leaves both.
            drop_unfinished(&link);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn put_back(path: &Path, previous: &Path) -> io::Result<()> {
    let link = with_suffix(path, UNFINISHED);
    drop_unfinished(&link);
    fs::hard_link(previous, &link)?;
    put(&link, path)?;
    drop_unfinished(&link);
    Ok(())
}

/// If it is there; where it cannot be removed, making it anew fails and says why.
fn drop_unfinished(unfinished: &Path) {
    let _ = fs::remove_file(unfinished);
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that cannot be synced: the kernel refuses it for this one.
    fn unsyncable() -> Place {
        Place(Some(File::open("/dev/null").unwrap()))
    }

    #[test]
    fn a_rename_that_is_not_durable_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (path, previous) = (dir.path().join("s.json"), dir.path().join("s.previous.json"));
        write_keeping_in(&unsyncable(), &path, &previous, b"1").unwrap_err();
        assert!(!path.exists(), "there was none");

        write_keeping(&path, &previous, b"1").unwrap();
        write_keeping(&path, &previous, b"2").unwrap();
        write_keeping_in(&unsyncable(), &path, &previous, b"3").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing half is left");
        write_keeping(&path, &previous, b"4").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&previous).unwrap()), (b"4".to_vec(), b"2".to_vec()));
    }

    #[test]
    fn what_stands_in_the_way_is_told_and_leaves_nothing_half() {
        let dir = tempfile::tempdir().unwrap();
        let (path, previous) = (dir.path().join("s.json"), dir.path().join("s.previous.json"));
        write_keeping(&path, &previous, b"1").unwrap();
        // Not even root renames a file over a directory.
        fs::create_dir(&previous).unwrap();
        write_keeping(&path, &previous, b"2").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"1");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
