//! The directory of a new gateway: built beside its place under a name that is none, and renamed when it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use instance::lock::Lock;
use instance::{Description, HistoryRecord, Place, durable, place};
use policy_config::ConfigDigest;
use uuid::Uuid;

use crate::failure::{Exit, Failure};
use crate::instances::{self, cannot_use, record};
use crate::printer::Printer;
use crate::settings::state_dir;

/// Held while a directory is made or removed: what has a name with a dot then is a leftover.
const LOCK: &str = ".lock";

pub(super) fn exists(name: &str) -> Failure {
    let found = instances::find(name);
    if found.is_ok_and(|found| found.description.is_ok_and(|found| found.installed.is_none())) {
        let message = format!("a gateway run in the foreground has used the name `{name}`");
        return Failure::new(Exit::Conflict, "already_used", message).with_field("--name").with_hint(
            format!("uninstall it first with `kt gateway uninstall --name {name}`, or choose another --name"),
        );
    }
    Failure::new(Exit::Conflict, "already_installed", format!("gateway `{name}` is already installed"))
        .with_field("--name")
        .with_hint(format!(
            "choose another --name, change it with `kt gateway reload --name {name}`, or remove it with `kt gateway uninstall --name {name}`"
        ))
}

/// Makes it, durably. The history of an earlier gateway of this name goes on in it.
pub(super) fn make(
    place: &Place,
    description: &Description,
    pack: Option<&[u8]>,
    told: &HistoryRecord,
    printer: &Printer,
) -> Result<(), Failure> {
    let gateways = place::gateways(&state_dir());
    let _turn = tidy(&gateways)?;
    let building = gateways.join(format!(".{}.{}", place.name(), Uuid::new_v4().simple()));
    let new = Place::at(place.name(), building.clone());
    let made = build(&new, description, pack)
        .and_then(|()| take_back_history(&new))
        .and_then(|()| {
            if let Err(warning) = record::keep(&new, told) {
                printer.warn(&warning);
            }
            sync(&building)?;
            match fs::rename(&building, place.dir()) {
                Ok(()) => Ok(()),
                Err(error) if is_there(&error) => Err(exists(place.name())),
                Err(error) => Err(cannot_use(place.dir(), &error)),
            }
        })
        .and_then(|()| sync(&gateways));
    if made.is_err() {
        // What is left of it goes with the next install.
        let _ = fs::remove_dir_all(&building);
        return made;
    }
    // It is in the gateway's own directory now.
    let _ = fs::remove_dir_all(kept_history(place.name()));
    Ok(())
}

/// Where the history of a gateway lies that is no more.
pub(in crate::commands::gateway) fn kept_history(name: &str) -> PathBuf {
    state_dir().join("history").join(name)
}

/// Waits for its turn and removes what installs and uninstalls left that did not come to their end.
pub(in crate::commands::gateway) fn tidy(gateways: &Path) -> Result<Lock, Failure> {
    durable::private_dir(gateways).map_err(|error| cannot_use(gateways, &error))?;
    let lock = gateways.join(LOCK);
    let turn = Lock::wait(&lock).map_err(|error| cannot_use(&lock, &error))?;
    for entry in fs::read_dir(gateways).into_iter().flatten().flatten() {
        let is_leftover = entry.file_name().to_string_lossy().starts_with('.')
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_leftover {
            // Only untidiness: it has a name that no gateway has.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(turn)
}

/// Makes the names in a directory durable.
pub(in crate::commands::gateway) fn sync(dir: &Path) -> Result<(), Failure> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| cannot_use(dir, &error))
}

fn build(new: &Place, description: &Description, pack: Option<&[u8]>) -> Result<(), Failure> {
    new.make().map_err(|(path, error)| cannot_use(&path, &error))?;
    if let Some(bytes) = pack {
        let path = new.pack(ConfigDigest::of(bytes));
        durable::write(&path, bytes).map_err(|error| cannot_use(&path, &error))?;
    }
    description.write(&new.description()).map_err(|error| cannot_use(&new.description(), &error))
}

/// Copies it: until the new directory stands, it also stays where it is.
fn take_back_history(new: &Place) -> Result<(), Failure> {
    let kept = kept_history(new.name());
    let entries = match fs::read_dir(&kept) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot_use(&kept, &error)),
    };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())) {
        let to = new.dir().join(entry.file_name());
        copy(&entry.path(), &to).map_err(|error| cannot_use(&to, &error))?;
    }
    Ok(())
}

/// A whole file or none, synced.
pub(in crate::commands::gateway) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    durable::write(to, &durable::read(from, u64::MAX)?)
}

fn is_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory
    )
}
