//! `kt gateway uninstall`: stops it and removes its directory; what happened to it stays to be read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use instance::lock::Lock;
use instance::{Action, History, Outcome, Place, place};
use serde::Serialize;
use tokio::time::{Duration, Instant, sleep};
use uuid::Uuid;

use super::install::{copy, kept_history, sync, tidy};
use crate::cli::gateway::GatewayUninstallArgs;
use crate::failure::{Exit, Failure};
use crate::instances::{self, cannot_use, record, stopped};
use crate::printer::Printer;
use crate::settings::state_dir;

/// For a lock that somebody holds for a moment.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// `{name, history}`: where what happened to it can be read, `null` with `--purge`.
#[derive(Debug, Serialize)]
struct UninstalledView {
    name: String,
    history: Option<PathBuf>,
}

pub(crate) async fn run(args: &GatewayUninstallArgs, printer: &Printer) -> Result<Exit, Failure> {
    let found = instances::find(&args.gateway.name)?;
    instances::mine(found.place.dir())?;
    let began = Instant::now();
    super::stop::stop(&found, super::stop::LIMIT, printer).await?;
    let place = &found.place;
    let gateways = place::gateways(&state_dir());
    let _turn = tidy(&gateways)?;
    // Whoever would start it now waits in vain, and finds it gone.
    let _supervisor = take(&place.supervisor_lock(), place.name()).await?;
    let _gateway = take(&place.lock(), place.name()).await?;
    let mut told = record::record(Action::Uninstall, Outcome::Succeeded, record::me(), began.elapsed());
    told.from = stopped::status(&found).ok().and_then(|status| status.desired);
    let kept = kept_history(place.name());
    if args.purge {
        remove(&kept)?;
    } else {
        if let Err(warning) = record::keep(place, &told) {
            printer.warn(&warning);
        }
        keep_history(place, &kept)?;
    }
    let leaving = gateways.join(format!(".{}.{}", place.name(), Uuid::new_v4().simple()));
    instance::door::remove(&place.admin_socket());
    instance::door::remove(&place.supervisor_socket());
    fs::rename(place.dir(), &leaving).map_err(|error| cannot_use(place.dir(), &error))?;
    sync(&gateways)?;
    remove(&leaving)?;
    show(place.name(), (!args.purge).then_some(kept), printer)
}

async fn take(lock: &Path, name: &str) -> Result<Lock, Failure> {
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match Lock::take(lock) {
            Ok(Some(held)) => return Ok(held),
            Ok(None) if Instant::now() < deadline => sleep(Duration::from_millis(20)).await,
            Ok(None) => {
                let message = format!("gateway `{name}` was started again meanwhile");
                return Err(Failure::new(Exit::Conflict, "in_use", message));
            }
            Err(error) => return Err(cannot_use(lock, &error)),
        }
    }
}

/// Copies the history beside the place where it is kept, then puts it there: it is whole in one of two places.
fn keep_history(place: &Place, kept: &Path) -> Result<(), Failure> {
    let Some(parent) = kept.parent() else { return Ok(()) };
    let new = parent.join(format!(".{}", place.name()));
    remove(&new)?;
    instance::durable::private_dir(&new).map_err(|error| cannot_use(&new, &error))?;
    for from in History::of(place).files() {
        let Some(name) = from.file_name() else { continue };
        let to = new.join(name);
        match copy(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot_use(&to, &error)),
        }
    }
    // What is there is of an uninstall that did not come to its end, and is in this one as well.
    remove(kept)?;
    fs::rename(&new, kept).map_err(|error| cannot_use(kept, &error))?;
    sync(parent)
}

fn remove(dir: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_use(dir, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn show(name: &str, history: Option<PathBuf>, printer: &Printer) -> Result<Exit, Failure> {
    if printer.is_json() {
        printer.json(&UninstalledView { name: name.to_owned(), history })?;
        return Ok(Exit::Done);
    }
    printer.text(&match history {
        Some(path) => format!("uninstalled gateway {name}; its history is in {}", path.display()),
        None => format!("uninstalled gateway {name}, and its history with it"),
    })?;
    Ok(Exit::Done)
}
