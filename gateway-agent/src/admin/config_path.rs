//! The file of a reload: found beneath the gateway's working directory or refused, whatever its path says.
//!
//! It is looked at before it is opened: what is not a regular file of a fit size is never opened for reading, and what
//! is opened must be what was looked at. Linux resolves the path in one call that leaves the directory by no way;
//! elsewhere, or in a sandbox without that call, each name of it is taken by itself. It must not tell of content.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use instance::documents::ErrorCode;
use instance::durable;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, stat};
use policy_config::document::MAX_SOURCE_BYTES;

use super::errors::shown;

/// The directory that `config_path` is relative to: the one that was there at the start. A path that names another
/// one by now is refused, and the operator told to restart, rather than read from where nobody looks any more.
#[derive(Debug)]
pub(super) struct WorkingDir {
    path: PathBuf,
    opened: Result<Opened, Errno>,
    /// Whether the kernel is asked to resolve paths; where it cannot, they are walked name by name.
    by_kernel: bool,
}

/// Why a file is not loaded. `message` has what and why, the hint what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathError {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    pub(super) hint: String,
}

#[derive(Debug)]
struct Opened {
    dir: OwnedFd,
    identity: Identity,
}

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(nix::libc::dev_t, nix::libc::ino_t);

#[derive(Debug)]
enum Problem {
    /// The path or what it names is not accepted.
    Refused(String),
    /// What was looked at is not what was opened.
    Swapped,
    NotFound,
    System(Errno),
    Read(io::Error),
}

/// What lint accepts. More is not even opened: it could only be refused, and would be *desired* by then.
const LARGEST: u64 = MAX_SOURCE_BYTES as u64;
const LONGEST_PATH: usize = 4096;

const LINK: &str = "symbolic links are not followed, in no part of a path";
const NO_FILE: &str = "it is not a regular file";
const SWAPPED: &str = "it was replaced while it was opened, again and again";
/// An editor that saves at that moment is no attack. Each try looks at everything anew.
const TRIES: usize = 5;

/// For a directory on the way: not to read it, only to pass through.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PASS: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PASS: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// What was swapped in behind our back must neither hold us up nor become our terminal.
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

// === impl WorkingDir ===

impl WorkingDir {
    /// Takes hold of the directory. Where that fails, every reload says why.
    pub(super) fn open(path: &Path) -> Self {
        let opened = open(path, PASS, Mode::empty())
            .and_then(|dir| fstat(&dir).map(|found| Opened { identity: Identity::of(&found), dir }));
        Self { path: path.to_owned(), opened, by_kernel: true }
    }

    /// Reads the file once, whole. Blocks as a disk does.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is not to be read by this path.
    pub(super) fn read(&self, given: &str) -> Result<Vec<u8>, PathError> {
        self.find(given).map_err(|problem| self.explain(given, problem))
    }

    fn find(&self, given: &str) -> Result<Vec<u8>, Problem> {
        let names = names(given)?;
        let opened = self.opened.as_ref().map_err(|errno| {
            Problem::Refused(format!(
                "the working directory could not be opened at the start: {}",
                errno.desc()
            ))
        })?;
        if !stat(&self.path).is_ok_and(|now| Identity::of(&now) == opened.identity) {
            return Err(Problem::Refused(
                "the working directory was moved or replaced since the gateway started; restart the gateway"
                    .into(),
            ));
        }
        let read = || read_beneath(opened.dir.as_fd(), &names, self.by_kernel);
        let settled = |read: &Result<_, Problem>| !matches!(read, Err(Problem::Swapped));
        std::iter::repeat_with(read).take(TRIES).find(settled).unwrap_or(Err(Problem::Swapped))
    }

    fn explain(&self, given: &str, problem: Problem) -> PathError {
        let (given, dir) = (shown(given), self.path.display());
        let (code, why) = match problem {
            Problem::NotFound => (ErrorCode::FileNotFound, "there is no such file".to_owned()),
            Problem::Refused(why) => (ErrorCode::PathRefused, why),
            Problem::Swapped => (ErrorCode::PathRefused, SWAPPED.to_owned()),
            Problem::System(Errno::EACCES | Errno::EPERM) => (
                ErrorCode::FileForbidden,
                "permission denied to the user that the gateway runs as".to_owned(),
            ),
            Problem::System(errno) => (ErrorCode::FileUnreadable, errno.desc().to_owned()),
            Problem::Read(error) => (ErrorCode::FileUnreadable, error.to_string()),
        };
        let message = format!("`{given}` is not loaded from the working directory `{dir}`: {why}");
        let hint = match code {
            ErrorCode::FileForbidden => format!("let that user read it, for example `chmod a+r {given}`"),
            _ => format!(
                "config_path must be relative to the gateway's working directory `{dir}` and name a regular file \
                 of at most 256 KiB"
            ),
        };
        PathError { code, message, hint }
    }
}

/// The names on the way, none of which leads up or nowhere.
fn names(given: &str) -> Result<Vec<&str>, Problem> {
    let refuse = |why: &str| Err(Problem::Refused(why.to_owned()));
    if given.is_empty() {
        return refuse("the path is empty");
    }
    if given.len() > LONGEST_PATH {
        return refuse("the path is longer than 4096 bytes");
    }
    if given.contains('\0') {
        return refuse("the path holds a zero byte");
    }
    if given.starts_with('/') {
        return refuse(
            "an absolute path is not accepted; it must be relative to the gateway's working directory",
        );
    }
    if given.split('/').any(|name| name == "..") {
        return refuse(
            "`..` is not accepted; it must be relative to the gateway's working directory, and beneath it",
        );
    }
    if given.ends_with('/') || given == "." || given.ends_with("/.") {
        return refuse(NO_FILE);
    }
    Ok(given.split('/').filter(|name| !matches!(*name, "" | ".")).collect())
}

fn read_beneath(dir: BorrowedFd<'_>, names: &[&str], by_kernel: bool) -> Result<Vec<u8>, Problem> {
    if by_kernel {
        let path = names.join("/");
        match kernel::look(dir, &path) {
            Err(Errno::ENOSYS | Errno::EPERM) => {}
            seen => return read_same(regular(&seen?)?, kernel::open(dir, &path)),
        }
    }
    let Some((last, ways)) = names.split_last() else { return Err(Problem::Refused(NO_FILE.to_owned())) };
    let mut passed: Option<OwnedFd> = None;
    for name in ways {
        let here = passed.as_ref().map_or(dir, AsFd::as_fd);
        let next = pass(here, name)?;
        passed = Some(next);
    }
    let here = passed.as_ref().map_or(dir, AsFd::as_fd);
    let seen = regular(&fstatat(here, *last, AtFlags::AT_SYMLINK_NOFOLLOW)?)?;
    read_same(seen, openat(here, *last, READ, Mode::empty()))
}

/// One directory further, which is no link.
fn pass(here: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Problem> {
    let seen = fstatat(here, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    match kind(&seen) {
        SFlag::S_IFDIR => {}
        SFlag::S_IFLNK => return Err(Problem::Refused(LINK.to_owned())),
        _ => return Err(Problem::NotFound),
    }
    let swapped = || Problem::Swapped;
    let next = match openat(here, name, PASS | OFlag::O_NOFOLLOW, Mode::empty()) {
        Err(Errno::ELOOP | Errno::ENOTDIR) => return Err(swapped()),
        next => next?,
    };
    if Identity::of(&fstat(&next)?) == Identity::of(&seen) { Ok(next) } else { Err(swapped()) }
}

/// Who it is, if it is worth opening.
fn regular(seen: &FileStat) -> Result<Identity, Problem> {
    match kind(seen) {
        SFlag::S_IFREG => {}
        SFlag::S_IFLNK => return Err(Problem::Refused(LINK.to_owned())),
        _ => return Err(Problem::Refused(NO_FILE.to_owned())),
    }
    match u64::try_from(seen.st_size) {
        Ok(size) if size <= LARGEST => Ok(Identity::of(seen)),
        _ => {
            Err(Problem::Refused(format!("it has {} bytes; the limit is {LARGEST} (256 KiB)", seen.st_size)))
        }
    }
}

/// Reads what was opened, if it is what was looked at.
fn read_same(seen: Identity, opened: nix::Result<OwnedFd>) -> Result<Vec<u8>, Problem> {
    let file = match opened {
        // It was no link and no socket when it was looked at.
        Err(Errno::ELOOP | Errno::ENXIO | Errno::EXDEV) => return Err(Problem::Swapped),
        opened => File::from(opened?),
    };
    if regular(&fstat(&file)?)? != seen {
        return Err(Problem::Swapped);
    }
    durable::read_open(&file, LARGEST).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            Problem::Refused(format!("it grew beyond {LARGEST} bytes (256 KiB) while it was read"))
        }
        _ => Problem::Read(error),
    })
}

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits())
}

#[cfg(target_os = "linux")]
mod kernel {
    use super::*;
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};

    const RESOLVE: ResolveFlag = ResolveFlag::RESOLVE_BENEATH
        .union(ResolveFlag::RESOLVE_NO_SYMLINKS)
        .union(ResolveFlag::RESOLVE_NO_MAGICLINKS);

    /// Of a link at the end: the link itself.
    pub(super) fn look(dir: BorrowedFd<'_>, path: &str) -> nix::Result<FileStat> {
        fstat(reach(dir, path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)?)
    }

    pub(super) fn open(dir: BorrowedFd<'_>, path: &str) -> nix::Result<OwnedFd> {
        reach(dir, path, READ)
    }

    fn reach(dir: BorrowedFd<'_>, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        openat2(dir, path, OpenHow::new().flags(flags).resolve(RESOLVE))
    }
}

/// Other systems have no such call, nor need it to be safe.
#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::*;

    pub(super) fn look(_: BorrowedFd<'_>, _: &str) -> nix::Result<FileStat> {
        Err(Errno::ENOSYS)
    }

    pub(super) fn open(_: BorrowedFd<'_>, _: &str) -> nix::Result<OwnedFd> {
        Err(Errno::ENOSYS)
    }
}

// === impl Identity ===

impl Identity {
    fn of(found: &FileStat) -> Self {
        Self(found.st_dev, found.st_ino)
    }
}

// === impl Problem ===

impl From<Errno> for Problem {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => Self::NotFound,
            Errno::ELOOP => Self::Refused(LINK.to_owned()),
            Errno::EXDEV => Self::Refused("it leads out of the working directory".to_owned()),
            Errno::EAGAIN => Self::Swapped,
            Errno::ENAMETOOLONG => Self::Refused("a name in the path is too long".to_owned()),
            other => Self::System(other),
        }
    }
}

#[cfg(test)]
mod tests;
