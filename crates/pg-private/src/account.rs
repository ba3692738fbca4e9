//! Whom the server runs as, and whether that user can get where it must.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Gid, Uid, User, chown};

use crate::Error;

/// Tried in this order when the program is root.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user that a root program runs the server as.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    uid: Uid,
    gid: Gid,
}

// === impl Account ===

impl Account {
    /// `None` when the program is an ordinary user and the server simply runs as it.
    pub(crate) fn to_drop_to() -> Result<Option<Self>, Error> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let user = UNPRIVILEGED.iter().find_map(|name| User::from_name(name).ok().flatten());
        user.map(|user| Some(Self { name: user.name, uid: user.uid, gid: user.gid })).ok_or(Error::NoUser)
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    pub(crate) fn gid(&self) -> u32 {
        self.gid.as_raw()
    }

    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|errno| Error::disk("change the owner of", path)(errno.into()))
    }

    /// Whether every directory above `path`, which must be free of links, lets this user pass.
    pub(crate) fn check_reaches(&self, path: &Path) -> Result<(), Error> {
        for above in path.ancestors().skip(1) {
            let metadata = fs::metadata(above).map_err(Error::disk("look at", above))?;
            let bit = match () {
                () if metadata.uid() == self.uid() => 0o100,
                () if metadata.gid() == self.gid() => 0o010,
                () => 0o001,
            };
            if metadata.permissions().mode() & bit == 0 {
                return Err(Error::Unreachable {
                    user: self.name.clone(),
                    path: path.to_path_buf(),
                    blocker: above.to_path_buf(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_lets_nobody_pass_is_named() {
        let root = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(root.path()).unwrap().join("home");
        let data = home.join("data").join("pg");
        fs::create_dir_all(&data).unwrap();
        for open in [home.parent().unwrap(), &home, &home.join("data")] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o711)).unwrap();
        }
        let stranger =
            Account { name: "stranger".into(), uid: Uid::from_raw(54321), gid: Gid::from_raw(54321) };
        stranger.check_reaches(&data).unwrap();

        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let error = stranger.check_reaches(&data).unwrap_err();
        assert!(matches!(&error, Error::Unreachable { blocker, .. } if *blocker == home), "{error}");
    }
}
