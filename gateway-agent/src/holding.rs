//! The right to a gateway's directory: made private, held by one process at a time, and told about in `instance.json`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use instance::documents::Source as SourceWord;
use instance::lock::Lock;
use instance::{Description, Place, durable};
use nix::unistd::{Uid, User};

use crate::settings::{Settings, Source};

/// A directory that is this process's, for as long as it lives.
#[derive(Debug)]
pub struct Holding {
    place: Place,
    _lock: Lock,
}

#[derive(Debug, thiserror::Error)]
pub enum HoldingError {
    #[error(
        "gateway `{name}` runs already (its directory `{}` is in use); stop it, or choose another --name",
        dir.display()
    )]
    InUse { name: String, dir: PathBuf },
    #[error("the state directory `{}` cannot be used: {error}; set KT_HOME to a directory of your own", path.display())]
    Unusable { path: PathBuf, error: io::Error },
}

// === impl Holding ===

impl Holding {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// Another process holds it, or the file system refuses.
    pub fn take(place: Place) -> Result<Self, HoldingError> {
        place.make().map_err(|(path, error)| HoldingError::Unusable { path, error })?;
        match Lock::take(&place.lock()) {
            Ok(Some(lock)) => Ok(Self { place, _lock: lock }),
            Ok(None) => {
                Err(HoldingError::InUse { name: place.name().to_owned(), dir: place.dir().to_owned() })
            }
            Err(error) => Err(HoldingError::Unusable { path: place.lock(), error }),
        }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// Tells tools on this host who serves here, and where, unless an installation says it. What cannot be a file of
    /// ours in its place is set aside.
    pub(crate) fn describe(&self, settings: &Settings, listen: SocketAddr) -> io::Result<()> {
        let path = self.place.description();
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            let aside = durable::set_aside(&path)?;
            tracing::warn!(path = %path.display(), aside = %aside.display(), "it is not a regular file; it is set aside");
        }
        if let Ok(Some(Description { installed: Some(_), .. })) = Description::read(&self.place) {
            return Ok(());
        }
        let (source, policy_config, control_plane) = match &settings.source {
            Source::File(path) => (SourceWord::Local, Some(path.clone()), None),
            Source::Stored(stored) => (SourceWord::Local, stored.policy_file.clone(), None),
            Source::ControlPlane(source) => (SourceWord::ControlPlane, None, Some(source.url.to_string())),
        };
        let description = Description {
            name: settings.name.to_string(),
            source,
            listen: listen.to_string(),
            working_dir: settings.working_dir.clone(),
            policy_config,
            control_plane,
            fleet: settings.fleet().map(ToString::to_string),
            labels: Vec::new(),
            env_file: settings.env_file.clone(),
            secret_env: Vec::new(),
            decision_log: settings.decision_log.clone(),
            metrics_listen: None,
            max_body: None,
            installed: None,
        };
        description.write(&path)
    }
}

/// Who runs this process, as the history names actors.
pub fn user() -> String {
    user_of(Uid::effective().as_raw())
}

/// The name of a user of this host. Asks the host's directory of users, so it may take a moment.
pub fn user_of(uid: u32) -> String {
    let uid = Uid::from_raw(uid);
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("uid {uid}"),
    }
}
