//! The directory of one gateway on its host: made private, held by one process at a time, and told
//! about in `instance.json`.
//!
//! It must not know what the files of others in it mean.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use serde::Serialize;

use crate::durable;
use crate::settings::{Settings, Source};

/// The right to a gateway's directory, for as long as it lives.
#[derive(Debug)]
pub struct Instance {
    dir: PathBuf,
    /// The kernel lets go of the lock when the process ends, however it ends.
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    #[error(
        "gateway `{name}` runs already (its directory `{}` is in use); stop it, or choose another --name",
        dir.display()
    )]
    InUse { name: String, dir: PathBuf },
    #[error("the state directory `{}` cannot be used: {error}; set KT_HOME to a directory of your own", path.display())]
    Unusable { path: PathBuf, error: io::Error },
}

/// `instance.json`.
#[derive(Serialize)]
struct Description<'a> {
    name: &'a str,
    source: &'static str,
    listen: SocketAddr,
    pid: u32,
    working_dir: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_config: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_plane: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<&'a str>,
}

// === impl Instance ===

impl Instance {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// Another process holds it, or the file system refuses.
    pub fn take(name: &str, dir: PathBuf) -> Result<Self, InstanceError> {
        for path in [dir.clone(), dir.join("packs"), dir.join("secrets"), dir.join("logs")] {
            durable::private_dir(&path).map_err(|error| InstanceError::Unusable { path, error })?;
        }
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // A FIFO in its place would hold us up for ever.
            .custom_flags(O_NOFOLLOW | O_NONBLOCK)
            .open(&path)
            .map_err(|error| InstanceError::Unusable { path: path.clone(), error })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(InstanceError::InUse { name: name.to_owned(), dir }),
            Err(TryLockError::Error(error)) => Err(InstanceError::Unusable { path, error }),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tells tools on this host who serves here, and where. What cannot be a file of ours in its place is set aside.
    pub(crate) fn describe(&self, settings: &Settings, listen: SocketAddr) -> io::Result<()> {
        let (source, policy_config, control_plane) = match &settings.source {
            Source::File(path) => ("local", Some(path.as_path()), None),
            Source::ControlPlane(source) => ("control-plane", None, Some(source.url.as_str())),
        };
        let description = Description {
            name: settings.name.as_str(),
            source,
            listen,
            pid: std::process::id(),
            working_dir: &settings.working_dir,
            policy_config,
            control_plane,
            fleet: settings.fleet().map(|fleet| fleet.as_str()),
        };
        let mut text = serde_json::to_vec_pretty(&description)?;
        text.push(b'\n');
        let path = self.dir.join("instance.json");
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            let aside = durable::set_aside(&path)?;
            tracing::warn!(path = %path.display(), aside = %aside.display(), "it is not a regular file; it is set aside");
        }
        durable::write(&path, &text)
    }
}
