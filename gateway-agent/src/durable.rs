//! Files that must survive a crash whole: written beside their place, synced, renamed, directory synced.
//!
//! A reader sees the old bytes or the new ones, never a part. It must not know what the bytes mean.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc::O_NOFOLLOW;

/// Ends the name of a file that is being written; what is left of it after a crash is removed.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Makes the directory and its missing parents, and takes everybody else's rights to it away.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        Err(error) => return Err(error),
    }
    if fs::metadata(path)?.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Replaces `path`, 0600. After `Ok` it survives a crash of the machine.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = stage(path, bytes)?;
    fs::rename(&unfinished, path)?;
    sync_parent(path)
}

/// As [`write()`], and what was there is kept as `previous`; at every moment one of the two is whole.
pub(crate) fn write_keeping(path: &Path, previous: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = stage(path, bytes)?;
    let link = with_suffix(previous, UNFINISHED);
    let _ = fs::remove_file(&link);
    match fs::hard_link(path, &link) {
        Ok(()) => {
            fs::rename(&link, previous)?;
            // A rename of two links to one file does nothing and leaves both.
            let _ = fs::remove_file(&link);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::rename(&unfinished, path)?;
    sync_parent(path)
}

/// Reads a regular file of at most `limit` bytes, following no link.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path)?;
    read_open(&file, limit)
}

/// Opens for reading; a FIFO without a writer does not hold us up. Links are followed.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
}

/// Reads an open file, unless it is not a regular one or holds more than `limit` bytes.
pub(crate) fn read_open(file: &File, limit: u64) -> io::Result<Vec<u8>> {
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

/// Moves a spoiled file to the first free `<name>.bad-<n>` beside it, for somebody to look at.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
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
pub(crate) fn remove_unfinished(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn stage(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let unfinished = with_suffix(path, UNFINISHED);
    let _ = fs::remove_file(&unfinished);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW)
        .open(&unfinished)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    if written.is_err() {
        // On a full disk the half is in the way of the next try.
        let _ = fs::remove_file(&unfinished);
    }
    written.map(|()| unfinished)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
