//! Who holds a directory: a lock on a file that the kernel lets go of when its holder ends, however it ends. A process
//! number in a file is never believed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// A look is over by then.
const LOOKS: Duration = Duration::from_millis(60);
const PAUSE: Duration = Duration::from_millis(3);

/// Held for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

// === impl Lock ===

impl Lock {
    /// `None`: another process holds it. That is found out only after a moment, for [`Self::is_held`] looks by
    /// holding it for one.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        Self::take_within(path, LOOKS)
    }

    /// Waits for its turn, about so long; `None`: it did not come.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn take_within(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let file = open(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600), path)?;
        let mut waited = Duration::ZERO;
        while waited < patience {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { file })),
                Err(TryLockError::WouldBlock) => std::thread::park_timeout(PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            waited += PAUSE;
        }
        Ok(None)
    }

    /// Waits for its turn; for what is held for moments only.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn wait(path: &Path) -> io::Result<Self> {
        let file = open(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600), path)?;
        file.lock()?;
        Ok(Self { file })
    }

    /// Whether it is this one that whoever looks at `path` finds held, and not another file or none.
    pub fn is_at(&self, path: &Path) -> bool {
        let there = std::fs::symlink_metadata(path);
        let (Ok(held), Ok(there)) = (self.file.metadata(), there) else { return false };
        (held.dev(), held.ino()) == (there.dev(), there.ino())
    }

    /// Whether somebody holds it now. Makes nothing.
    pub fn is_held(path: &Path) -> bool {
        let Ok(file) = open(OpenOptions::new().write(true), path) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// A FIFO or a link in its place must neither hold us up nor lead us away.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_its_end_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!Lock::is_held(&path));
        let held = Lock::take(&path).unwrap().expect("nobody holds it");
        assert!(Lock::is_held(&path));
        assert!(Lock::take(&path).unwrap().is_none());
        assert!(held.is_at(&path));
        std::fs::rename(&path, dir.path().join("away")).unwrap();
        assert!(!held.is_at(&path), "nobody finds it there");
        let other = Lock::take(&path).unwrap().expect("another file");
        assert!(other.is_at(&path) && !held.is_at(&path));
        drop(other);
        std::fs::rename(dir.path().join("away"), &path).unwrap();
        drop(held);
        assert!(!Lock::is_held(&path), "the file alone is no holder");
        assert!(Lock::take(&path).unwrap().is_some());
    }
    #[test]
    fn whoever_only_looks_is_in_nobodys_way() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    Lock::is_held(&path);
                }
            });
            let refused = (0..500).filter(|_| Lock::take(&path).unwrap().is_none()).count();
            done.store(true, Ordering::Relaxed);
            assert_eq!(refused, 0);
        });
    }
}
