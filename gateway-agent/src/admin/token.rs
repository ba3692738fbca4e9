//! `admin.token`: what opens the guarded routes on the data port to a script of this host.
//!
//! Made at a start where there is none that nobody else could have read, and kept in memory until the end: a new one
//! is a removed file and a restart. It is never logged.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use instance::durable;
use nix::libc::O_NOFOLLOW;
use nix::unistd::Uid;
use subtle::ConstantTimeEq;

/// `kt_` and 32 random bytes in hexadecimal.
pub(super) struct AdminToken(String);

const PREFIX: &str = "kt_";
const RANDOM_BYTES: usize = 32;
/// A token, a line's end and some room to see that it is none.
const LARGEST: u64 = 256;

// === impl AdminToken ===

impl AdminToken {
    /// The token in the file, or a new one where the file is missing, open to others or no token.
    ///
    /// # Errors
    /// It cannot be made: then there is no token, and no file says otherwise.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        match Self::read(path) {
            Ok(Some(token)) => return Ok(token),
            Ok(None) => {
                tracing::warn!(path = %path.display(), "not a token that only this gateway's user can read; made anew");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the token cannot be read; it is made anew");
            }
        }
        Self::make(path)
    }

    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(text).into()
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        let file =
            OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.mode() & 0o7777 != 0o600 || found.uid() != Uid::effective().as_raw() {
            return Ok(None);
        }
        let bytes = durable::read_open(&file, LARGEST)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let random = text.trim_end().strip_prefix(PREFIX).unwrap_or_default();
        let is_token =
            random.len() == 2 * RANDOM_BYTES && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(is_token.then(|| Self(text.trim_end().to_owned())))
    }

    /// Not synced: a token that a crash of the machine takes is made anew.
    fn make(path: &Path) -> io::Result<Self> {
        let mut random = [0_u8; RANDOM_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = Self(format!("{PREFIX}{hex}"));
        let unfinished = unfinished(path);
        let _ = fs::remove_file(&unfinished);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(O_NOFOLLOW);
        let written = options
            .open(&unfinished)
            .and_then(|mut file| writeln!(file, "{}", token.0))
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written.map(|()| token)
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(durable::UNFINISHED);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_token_is_made_once_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        let token = AdminToken::at(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!((text.len(), mode(&path)), (3 + 64 + 1, 0o600));
        assert!(token.is(text.trim_end().as_bytes()));
        assert!(!token.is(text.as_bytes()) && !token.is(b"") && !token.is(b"kt_"));
        assert_eq!(format!("{token:?}"), "AdminToken(…)");
        assert!(AdminToken::at(&path).unwrap().is(text.trim_end().as_bytes()), "kept");
        let other = AdminToken::at(&dir.path().join("other")).unwrap();
        assert!(!other.is(text.trim_end().as_bytes()));
    }

    #[test]
    fn what_others_could_read_or_is_no_token_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        let old = format!("kt_{}\n", "a".repeat(64));
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, &old).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
        for (what, mode_of) in [
            ("open", 0o644),
            ("executable", 0o700),
            ("empty", 0o600),
            ("short", 0o600),
            ("no hex", 0o600),
            ("binary", 0o600),
            ("long", 0o600),
            ("fifo", 0o600),
            ("link", 0o600),
        ] {
            let _ = fs::remove_file(&path);
            match what {
                "fifo" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                "link" => symlink(&elsewhere, &path).unwrap(),
                "empty" => fs::write(&path, "").unwrap(),
                "short" => fs::write(&path, "kt_aa\n").unwrap(),
                "no hex" => fs::write(&path, old.replace('a', "g")).unwrap(),
                "binary" => fs::write(&path, [0xff; 67]).unwrap(),
                "long" => fs::write(&path, old.repeat(100)).unwrap(),
                _ => fs::write(&path, &old).unwrap(),
            }
            if what != "link" {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode_of)).unwrap();
            }
            let token = AdminToken::at(&path).unwrap();
            assert!(!token.is(old.trim_end().as_bytes()), "{what}");
            let text = fs::read_to_string(&path).unwrap();
            assert!(token.is(text.trim_end().as_bytes()), "{what}");
            assert!(fs::symlink_metadata(&path).unwrap().is_file() && mode(&path) == 0o600, "{what}");
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), old, "a link leads nowhere");
    }

    #[test]
    fn what_cannot_be_made_leaves_nothing_half() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        fs::create_dir(&path).unwrap();
        AdminToken::at(&path).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
