//! The policy file of a gateway that runs from one: read at the start and at each SIGHUP, and applied
//! through the Activator like any offer.

use std::io;
use std::path::{Path, PathBuf};

use instance::durable;

/// Larger than lint accepts, so that lint can say that it is too large.
const LARGEST: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum LocalSourceError {
    #[error("--policy-config: there is no `{}`", .0.display())]
    Missing(PathBuf),
    #[error("--policy-config: `{}` cannot be read: permission denied", .0.display())]
    Forbidden(PathBuf),
    #[error("--policy-config: `{}` cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
}

/// Reads the file once; a FIFO does not hang, a huge file is not read to its end.
pub fn read(path: &Path) -> Result<Vec<u8>, LocalSourceError> {
    durable::open(path).and_then(|file| durable::read_open(&file, LARGEST)).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => LocalSourceError::Missing(path),
            io::ErrorKind::PermissionDenied => LocalSourceError::Forbidden(path),
            _ => LocalSourceError::Unreadable { path, error },
        }
    })
}
