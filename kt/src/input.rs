//! Reads the files a person names: never more than a limit, never a pipe or a device that would hang.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use policy_config::PolicyDocument;

use crate::failure::{Exit, Failure};

/// One byte more than a pack may have: lint then says that it is too big, and the rest is never read.
const READ_LIMIT: usize = 256 * 1024 + 1;

/// A regular file, open.
pub(crate) struct RegularFile {
    file: File,
    /// In bytes, when it was opened.
    size: u64,
    pub(crate) mode: u32,
}

/// Why there is no [`RegularFile`]. Reads on after the name of the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("does not exist")]
    Missing,
    #[error("is a directory")]
    Directory,
    #[error("is not a regular file")]
    NotRegular,
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

/// A policy file as it was named and read once.
#[derive(Debug, Clone)]
pub(crate) struct NamedSource {
    /// For messages: the path as typed, `<stdin>` for `-`.
    pub(crate) name: String,
    /// At most [`READ_LIMIT`] bytes.
    pub(crate) bytes: Vec<u8>,
    /// Of the file; 0 of standard input, where nobody knows.
    pub(crate) size: u64,
}

/// Opens without waiting for a writer, and looks at what was opened rather than at the name.
pub(crate) fn open_regular(path: &Path) -> Result<RegularFile, OpenError> {
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|error| {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::Missing,
            // What a socket answers to open.
            _ if error.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32) => OpenError::NotRegular,
            _ => OpenError::Io(error),
        }
    })?;
    let metadata = file.metadata().map_err(OpenError::Io)?;
    if metadata.is_dir() {
        Err(OpenError::Directory)
    } else if metadata.is_file() {
        Ok(RegularFile { mode: metadata.mode(), size: metadata.len(), file })
    } else {
        Err(OpenError::NotRegular)
    }
}

// === impl RegularFile ===

impl RegularFile {
    /// At most `limit` bytes.
    pub(crate) fn read_up_to(self, limit: usize) -> io::Result<Vec<u8>> {
        read_up_to(self.file, limit)
    }
}

// === impl NamedSource ===

impl NamedSource {
    /// Reads the policy file that `field` (`--file`, `FILE`) names; `-` is standard input.
    pub(crate) fn read(path: &Path, field: &str) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let bytes = read_up_to(io::stdin().lock(), READ_LIMIT)
                .map_err(|error| Failure::usage(field, format!("standard input cannot be read: {error}")))?;
            return Ok(Self { name: "<stdin>".to_owned(), bytes, size: 0 });
        }
        let name = path.display().to_string();
        let file = open_regular(path).map_err(|error| refuse(&name, field, &error))?;
        let size = file.size;
        let bytes =
            file.read_up_to(READ_LIMIT).map_err(|error| refuse(&name, field, &OpenError::Io(error)))?;
        Ok(Self { name, bytes, size })
    }

    pub(crate) fn document(&self) -> PolicyDocument {
        PolicyDocument::beginning(self.bytes.clone(), self.size)
    }
}

fn refuse(name: &str, field: &str, error: &OpenError) -> Failure {
    let message = format!("`{name}` {error}");
    match error {
        OpenError::Missing => Failure::new(Exit::NotFound, "file_not_found", message)
            .with_field(field)
            .with_hint("check the path; it is resolved from the current directory"),
        OpenError::Directory => Failure::usage(field, message).with_hint("name the policy file in it"),
        OpenError::NotRegular => Failure::usage(field, message).with_hint("pipe the text to `-` instead"),
        OpenError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::Forbidden, "file_forbidden", message)
                .with_field(field)
                .with_hint("check the permissions of the file and of its directories")
        }
        OpenError::Io(_) => Failure::new(Exit::Usage, "file_unreadable", message)
            .with_field(field)
            .with_hint("look at its disk"),
    }
}

fn read_up_to(reader: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
