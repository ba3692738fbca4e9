//! The right to a gateway's directory: made private, held by one process at a time, and told about in `instance.json`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use instance::documents::Source as SourceWord;
use instance::lock::Lock;
use instance::place::user_name;
use instance::{Description, Place, durable};
use nix::unistd::Uid;

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
    #[error("the directory `{}` of gateway `{name}` belongs to {owner}; run this as {owner}", dir.display())]
    Foreign { name: String, dir: PathBuf, owner: String },
    #[error(
        "`{}` belongs to {owner} and cannot be read by {me}, whose gateway `{name}` is; \
         give it back, as root: chown {me} {}", path.display(), path.display()
    )]
    Unreadable { name: String, path: PathBuf, owner: String, me: String },
}

// === impl Holding ===

impl Holding {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// Another process holds it, it or what is remembered in it is another user's, or the file system refuses. Of
    /// another user's directory nothing is changed.
    pub fn take(place: Place) -> Result<Self, HoldingError> {
        if let Some(owner) = place.another_owner() {
            return Err(HoldingError::Foreign {
                name: place.name().to_owned(),
                dir: place.dir().to_owned(),
                owner: user_name(owner.as_raw()),
            });
        }
        readable(&place, &place.lock())?;
        place.make().map_err(|(path, error)| HoldingError::Unusable { path, error })?;
        match Lock::take(&place.lock()) {
            Ok(Some(lock)) => {
                all_readable(&place)?;
                Ok(Self { place, _lock: lock })
            }
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
            max_in_flight: None,
            max_connections: None,
            installed: None,
        };
        description.write(&path)
    }
}

/// What was written here by another user is no spoiled memory: it is to be given back, and not set aside.
fn all_readable(place: &Place) -> Result<(), HoldingError> {
    for path in [place.standing(), place.previous_standing(), place.description(), place.packs()] {
        readable(place, &path)?;
    }
    for entry in fs::read_dir(place.packs()).into_iter().flatten().flatten() {
        readable(place, &entry.path())?;
    }
    Ok(())
}

/// Anything else that is wrong with it is for those who use it to say.
fn readable(place: &Place, path: &Path) -> Result<(), HoldingError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let kind = found.file_type();
    if !(kind.is_file() || kind.is_dir()) || !is_forbidden(durable::open(path)) {
        return Ok(());
    }
    Err(HoldingError::Unreadable {
        name: place.name().to_owned(),
        path: path.to_owned(),
        owner: user_name(found.uid()),
        me: user(),
    })
}

fn is_forbidden<T>(opened: io::Result<T>) -> bool {
    opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Who runs this process, as the history names actors.
pub fn user() -> String {
    user_name(Uid::effective().as_raw())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOBODY: u32 = 65_534;

    #[test]
    fn another_users_directory_is_refused_and_left_as_it_was() {
        if !Uid::effective().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(home.path(), "g");
        fs::create_dir_all(place.dir()).unwrap();
        fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(place.dir(), Some(NOBODY), None).unwrap();
        let refused = Holding::take(place.clone()).unwrap_err();
        assert!(matches!(&refused, HoldingError::Foreign { .. }), "{refused:?}");
        let owner = user_name(NOBODY);
        assert!(
            refused.to_string().ends_with(&format!("belongs to {owner}; run this as {owner}")),
            "{refused}"
        );
        assert_eq!(crate::app::AppError::from(refused).exit_code(), 4);
        let (_, refused) = place.make().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(fs::read_dir(place.dir()).unwrap().count(), 0);
        assert_eq!(fs::metadata(place.dir()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn what_may_not_be_read_is_refused_by_name_and_not_set_aside() {
        if Uid::effective().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(home.path(), "g");
        drop(Holding::take(place.clone()).unwrap());
        let pack = place.packs().join("any.yaml");
        for path in [place.lock(), place.standing(), place.previous_standing(), place.description(), pack] {
            fs::write(&path, "{}").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
            let refused = Holding::take(place.clone()).unwrap_err();
            assert!(
                refused.to_string().contains(&format!("`{}` belongs to {}", path.display(), user())),
                "{refused}"
            );
            assert_eq!(crate::app::AppError::from(refused).exit_code(), 4);
            fs::remove_file(&path).unwrap();
        }
        Holding::take(place).unwrap();
    }
}
