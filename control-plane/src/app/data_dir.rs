//! The data directory and the operator token in it: made once, 0600, never shown.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::credential::{Credential, CredentialHash};

/// The file's name within the data directory.
const TOKEN_FILE: &str = "operator.token";

/// Longer than any token; a bigger file is something else.
const MAX_TOKEN_FILE: u64 = 1024;

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("--data-dir: cannot {action} {path}: {source}; choose a directory that you can write to")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("--data-dir: {0} is not a directory; name another one")]
    NotADirectory(PathBuf),
    #[error("{path} can be read by others (mode {mode:04o}); `chmod 600` it if nobody has, else remove it")]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{0} belongs to another user; run as that user, or choose another --data-dir")]
    Foreign(PathBuf),
    #[error("{0} does not hold an operator token; remove it, and a new one is made at the next start")]
    NoToken(PathBuf),
}

/// Makes the directory when it is absent. `passable` lets others pass through it, never look into it:
/// a private cluster of root runs as another user, below it.
pub(super) fn prepare(dir: &Path, passable: bool) -> Result<(), DataDirError> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(DataDirError::NotADirectory(dir.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at", dir)(error)),
    }
    let mode = if passable { 0o711 } else { 0o700 };
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(failed("make", parent))?;
    }
    match fs::DirBuilder::new().mode(mode).create(dir) {
        // Not narrowed by the umask, or a server that runs as another user could not pass.
        Ok(()) => {
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", dir))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed("make", dir)(error)),
    }
}

/// The hash of the operator token; the file is written when there is none.
pub(super) fn operator_token(dir: &Path) -> Result<(PathBuf, CredentialHash), DataDirError> {
    let path = dir.join(TOKEN_FILE);
    loop {
        match read_token(&path) {
            Ok(token) => {
                let credential =
                    Credential::parse(&token).ok_or_else(|| DataDirError::NoToken(path.clone()))?;
                return Ok((path, credential.hash()));
            }
            Err(DataDirError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                write_token(dir, &path)?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn read_token(path: &Path) -> Result<String, DataDirError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(failed("open", path))?;
    let found = file.metadata().map_err(failed("look at", path))?;
    if !found.is_file() || found.len() > MAX_TOKEN_FILE {
        return Err(DataDirError::NoToken(path.to_owned()));
    }
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(DataDirError::Foreign(path.to_owned()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(DataDirError::TooOpen { path: path.to_owned(), mode: found.mode() & 0o7777 });
    }
    let mut bytes = Vec::new();
    file.take(MAX_TOKEN_FILE).read_to_end(&mut bytes).map_err(failed("read", path))?;
    let text = String::from_utf8(bytes).map_err(|_| DataDirError::NoToken(path.to_owned()))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// Whole or not at all: written beside and linked to its name, which never replaces what another start wrote.
fn write_token(dir: &Path, path: &Path) -> Result<(), DataDirError> {
    let token = Credential::fresh().map_err(failed("read random bytes for", path))?;
    let beside = dir.join(format!(".{TOKEN_FILE}.{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&beside)
        .map_err(failed("write", path))?;
    let written = file.write_all(format!("{}\n", token.expose()).as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let _ = fs::remove_file(&beside);
    linked.and_then(|()| File::open(dir)?.sync_all()).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_written_once_and_read_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        prepare(&dir, false).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o7777, 0o700);
        let (path, hash) = operator_token(&dir).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("kt_") && text.len() == 3 + 43 + 1, "{}", text.len());
        assert!(operator_token(&dir).unwrap().1.matches(&hash));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn a_spoiled_token_file_is_refused_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(TOKEN_FILE);
        let refused = || operator_token(root.path()).unwrap_err().to_string();
        for text in ["", "secret\n", "kt_short\n", &"x".repeat(2000)] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(refused().contains("remove it"), "{text}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, "kt_x").unwrap();
        assert!(refused().contains("mode 0644"));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(operator_token(root.path()), Err(DataDirError::Io { action: "open", .. })));
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(matches!(prepare(&path, false), Err(DataDirError::NotADirectory(_))));
        assert!(matches!(prepare(&path.join("below"), false), Err(DataDirError::Io { .. })));
    }
}
