//! The gateways of this host: found by name, asked over their door, and what is known of one that is stopped.

pub(crate) mod data_port;
pub(crate) mod door;
pub(crate) mod look;
pub(crate) mod record;
pub(crate) mod stopped;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fleet_core::gateway::{GatewayName, InvalidName};
use instance::lock::Lock;
use instance::{Description, Place, place};
use nix::unistd::Uid;

use crate::failure::{Exit, Failure};
use crate::settings::state_dir;
use look::Looked;

/// The code of [`not_running`].
const NOT_RUNNING: &str = "not_running";

/// A gateway whose directory is there.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) place: Place,
    /// `Err`: `instance.json` is spoiled, and why.
    pub(crate) description: Result<Description, String>,
}

/// Where gateway `name` of this host lies, whether or not it is there.
///
/// # Errors
/// It is no name.
pub(crate) fn place_of(name: &str) -> Result<Place, Failure> {
    let name: GatewayName = name.parse().map_err(|error: InvalidName| {
        Failure::usage("--name", format!("`{}` is no gateway: {error}", shortened(name)))
    })?;
    Ok(Place::new(&state_dir(), name.as_str()))
}

/// The gateway of this name.
///
/// # Errors
/// There is none; the names that are known are told.
pub(crate) fn find(name: &str) -> Result<Found, Failure> {
    let place = place_of(name)?;
    match std::fs::symlink_metadata(place.dir()) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(cannot_use(place.dir(), &io::Error::from(io::ErrorKind::NotADirectory))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown(name)),
        Err(error) => return Err(cannot_use(place.dir(), &error)),
    }
    match Description::read(&place) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(cannot_use(&place.description(), &error))
        }
        description => Ok(Found::of(place, description)),
    }
}

/// All of them, by name.
pub(crate) fn all() -> Result<Vec<Found>, Failure> {
    all_in(&state_dir())
}

/// Those below this $KT_HOME. One that cannot be read says so itself.
pub(crate) fn all_in(home: &Path) -> Result<Vec<Found>, Failure> {
    let names = place::names(home).map_err(|error| cannot_use(&place::gateways(home), &error))?;
    let names = names.iter().filter(|name| name.parse::<GatewayName>().is_ok());
    Ok(names
        .map(|name| {
            let place = Place::new(home, name);
            let description = Description::read(&place);
            Found::of(place, description)
        })
        .collect())
}

// === impl Found ===

impl Found {
    fn of(place: Place, description: io::Result<Option<Description>>) -> Self {
        let description = match description {
            Ok(Some(description)) => Ok(description),
            Ok(None) => Err("instance.json is missing".to_owned()),
            Err(error) => Err(format!("instance.json cannot be used: {error}")),
        };
        Self { place, description }
    }

    pub(crate) fn name(&self) -> &str {
        self.place.name()
    }

    /// # Errors
    /// It is spoiled.
    pub(crate) fn description(&self) -> Result<&Description, Failure> {
        self.description.as_ref().map_err(|why| {
            Failure::new(Exit::Failed, "instance_spoiled", format!("gateway `{}`: {why}", self.name()))
                .with_hint(format!(
                    "its directory is `{}`; `kt gateway uninstall --name {}` removes it",
                    self.place.dir().display(),
                    self.name()
                ))
        })
    }

    /// The description of a gateway that was installed.
    ///
    /// # Errors
    /// It was not: only a `kt gateway run` made its directory.
    pub(crate) fn installed(&self) -> Result<&Description, Failure> {
        let description = self.description()?;
        if description.installed.is_some() {
            return Ok(description);
        }
        let name = self.name();
        Err(Failure::new(
            Exit::NotFound,
            "not_installed",
            format!("gateway `{name}` is not installed: `kt gateway run` made its directory"),
        )
        .with_hint(format!(
            "run it again with `kt gateway run`, or `kt gateway uninstall --name {name}` and then `kt gateway install`"
        )))
    }

    /// What its supervisor set aside, for somebody to look at.
    pub(crate) fn spoiled_before(&self) -> Option<String> {
        let entries = std::fs::read_dir(self.place.dir()).ok()?.flatten();
        let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let aside = names.find(|name| name.starts_with("instance.json.bad-"))?;
        Some(format!(
            "instance.json was spoiled and is written anew as it was; look at `{aside}` and remove it"
        ))
    }

    /// Whether a process serves it now, supervised or not.
    pub(crate) fn is_served(&self) -> bool {
        Lock::is_held(&self.place.lock())
    }

    pub(crate) fn is_supervised(&self) -> bool {
        Lock::is_held(&self.place.supervisor_lock())
    }

    /// What it runs and should run: from itself, or from its disk while it is stopped.
    pub(crate) async fn look(&self) -> Result<Looked, Failure> {
        Looked::at(self).await
    }
}

/// `find` found nothing.
fn unknown(name: &str) -> Failure {
    let known = place::names(&state_dir()).unwrap_or_default();
    let hint = if known.is_empty() {
        "there is none on this host; `kt gateway install` makes one".to_owned()
    } else {
        format!("known: {}", known.join(", "))
    };
    Failure::new(Exit::NotFound, "not_found", format!("there is no gateway `{name}` on this host"))
        .with_field("--name")
        .with_hint(hint)
}

/// A file or directory of a gateway that the file system refuses.
pub(crate) fn cannot_use(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::PermissionDenied
        && let Err(failure) = mine(path)
    {
        return failure;
    }
    Failure::new(Exit::Failed, "storage_failed", format!("cannot use `{}`: {error}", path.display()))
        .with_hint("set KT_HOME to a directory of your own, on a disk that has room")
}

/// What root leaves among another user's files, that user's processes cannot read.
///
/// # Errors
/// What lies there, or the nearest directory above it, belongs to another user, whoever asks.
pub(crate) fn mine(path: &Path) -> Result<(), Failure> {
    let found = path.ancestors().find_map(|path| Some((path, std::fs::symlink_metadata(path).ok()?)));
    let Some((path, found)) = found else { return Ok(()) };
    if found.uid() == Uid::effective().as_raw() {
        return Ok(());
    }
    let user = instance::place::user_name(found.uid());
    let message = format!("`{}` belongs to {user}, and kt runs as {}", path.display(), record::me());
    Err(Failure::new(Exit::Forbidden, "not_yours", message)
        .with_hint(format!("run kt as {user}, or set KT_HOME to a directory of your own")))
}

/// Nobody answers for this gateway.
pub(crate) fn not_running(name: &str) -> Failure {
    Failure::new(Exit::Unreachable, NOT_RUNNING, format!("gateway `{name}` is not running"))
        .with_hint(format!("start it with `kt gateway start --name {name}`"))
}

/// What was typed, short enough to be repeated.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}
