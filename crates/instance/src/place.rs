//! Where the files of a gateway lie: `$KT_HOME/gateways/<name>/…`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use policy_config::ConfigDigest;

/// The directory of one gateway, whether or not it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    name: String,
    dir: PathBuf,
}

/// `$KT_HOME`, else `$XDG_STATE_HOME/kt`, else `~/.local/state/kt`; as root without HOME `/var/lib/kt`.
///
/// An empty variable is one that is not set, and a relative `XDG_STATE_HOME` is not followed. `None`: nothing says where.
pub fn state_home(variable: impl Fn(&str) -> Option<OsString>, is_root: bool) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = set("KT_HOME") {
        return Some(std::path::absolute(&home).unwrap_or(home));
    }
    if let Some(state) = set("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
        return Some(state.join("kt"));
    }
    match set("HOME") {
        Some(home) => Some(home.join(".local/state/kt")),
        None => is_root.then(|| PathBuf::from("/var/lib/kt")),
    }
}

/// The gateways of this host, by name. What begins with a dot is none: half installed, or removed.
///
/// # Errors
/// The directory is there and cannot be read.
pub fn names(home: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(gateways(home)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names)
}

/// Where the directories of all gateways lie.
pub fn gateways(home: &Path) -> PathBuf {
    home.join("gateways")
}

/// The name of a user of this host. Asks the host's directory of users, so it may take a moment.
pub fn user_name(uid: u32) -> String {
    let uid = Uid::from_raw(uid);
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("uid {uid}"),
    }
}

// === impl Place ===

impl Place {
    /// The directory of gateway `name` below `home`. The caller has checked the name: it becomes a path.
    pub fn new(home: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), dir: gateways(home).join(name) }
    }

    /// As [`Self::new`], in a directory of another name: one that is being made.
    pub fn at(name: &str, dir: PathBuf) -> Self {
        Self { name: name.to_owned(), dir }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was installed, or what a `run` said of itself.
    pub fn description(&self) -> PathBuf {
        self.dir.join("instance.json")
    }

    /// What the gateway remembers; it and [`Self::packs`] are the gateway's alone.
    pub fn standing(&self) -> PathBuf {
        self.dir.join("standing.json")
    }

    /// What it remembered one write before.
    pub fn previous_standing(&self) -> PathBuf {
        self.dir.join("standing.previous.json")
    }

    /// Held by the process that serves: the writer of all below but the history.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// The gateway's door.
    pub fn admin_socket(&self) -> PathBuf {
        self.dir.join("admin.sock")
    }

    /// What opens the guarded routes on the data port.
    pub fn admin_token(&self) -> PathBuf {
        self.dir.join("admin.token")
    }

    pub fn supervisor_lock(&self) -> PathBuf {
        self.dir.join("supervisor.lock")
    }

    pub fn supervisor_socket(&self) -> PathBuf {
        self.dir.join("supervisor.sock")
    }

    pub fn history(&self) -> PathBuf {
        self.dir.join("history.jsonl")
    }

    /// The standing as the gateway told it last, for whoever asks while it is down.
    pub fn last_status(&self) -> PathBuf {
        self.dir.join("status.json")
    }

    pub fn packs(&self) -> PathBuf {
        self.dir.join("packs")
    }

    pub fn pack(&self, digest: ConfigDigest) -> PathBuf {
        self.packs().join(format!("{}.yaml", digest.hex()))
    }

    pub fn secrets(&self) -> PathBuf {
        self.dir.join("secrets")
    }

    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The user whose directory it is, where that is not the one that this process runs as. What root would write in it
    /// that user could not read again. `None` also where there is none yet.
    pub fn another_owner(&self) -> Option<Uid> {
        let owner = Uid::from_raw(fs::symlink_metadata(&self.dir).ok()?.uid());
        (owner != Uid::effective()).then_some(owner)
    }

    /// Makes the directory and those in it, 0700.
    ///
    /// # Errors
    /// The first directory that cannot be made or made private, with why. Of another user's directory
    /// (`PermissionDenied`) nothing is changed.
    pub fn make(&self) -> Result<(), (PathBuf, io::Error)> {
        if let Some(owner) = self.another_owner() {
            let owner = user_name(owner.as_raw());
            let why = format!("it belongs to {owner}; run this as {owner}");
            return Err((self.dir.clone(), io::Error::new(io::ErrorKind::PermissionDenied, why)));
        }
        for path in [self.dir.clone(), self.packs(), self.secrets(), self.logs()] {
            crate::durable::private_dir(&path).map_err(|error| (path, error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_home_is_the_first_that_is_set() {
        let home = |pairs: &[(&str, &str)], is_root| {
            let found =
                |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
            state_home(found, is_root).map(|path| path.display().to_string())
        };
        let all = [("KT_HOME", "/k"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(home(&all, false).as_deref(), Some("/k"));
        assert_eq!(home(&all[1..], false).as_deref(), Some("/x/kt"));
        assert_eq!(home(&all[2..], true).as_deref(), Some("/h/.local/state/kt"));
        assert_eq!(
            home(&[("KT_HOME", ""), ("XDG_STATE_HOME", "x"), ("HOME", "/h")], false).as_deref(),
            Some("/h/.local/state/kt")
        );
        assert_eq!(home(&[], true).as_deref(), Some("/var/lib/kt"));
        assert_eq!(home(&[], false), None);
    }

    #[test]
    fn what_begins_with_a_dot_is_no_gateway() {
        let home = tempfile::tempdir().unwrap();
        assert!(names(home.path()).unwrap().is_empty());
        for name in ["b", "a", ".a.new"] {
            std::fs::create_dir_all(gateways(home.path()).join(name)).unwrap();
        }
        std::fs::write(gateways(home.path()).join("file"), "").unwrap();
        assert_eq!(names(home.path()).unwrap(), ["a", "b"]);
    }
}
