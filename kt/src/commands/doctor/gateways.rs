//! The gateways of this host.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Check, Status};
use crate::words::counted;

/// A directory below `$KT_HOME/gateways`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalGateway {
    pub(super) name: OsString,
    /// Permission bits.
    pub(super) mode: u32,
}

/// By name; none when there is no such directory.
pub(super) fn local_gateways(home: &Path) -> io::Result<Vec<LocalGateway>> {
    let entries = match std::fs::read_dir(home.join("gateways")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut gateways = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            gateways.push(LocalGateway { name: entry.file_name(), mode: metadata.mode() & 0o7777 });
        }
    }
    gateways.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(gateways)
}

pub(super) fn check(home: &Path) -> Check {
    let tell = |status, message: String| Check::new("gateways", status, message);
    let gateways = match local_gateways(home) {
        Ok(gateways) => gateways,
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", home.join("gateways").display());
            return tell(Status::Problem, message);
        }
    };
    if gateways.is_empty() {
        return tell(Status::Skipped, "none on this host".to_owned());
    }
    let names: Vec<_> = gateways.iter().map(|gateway| gateway.name.to_string_lossy().into_owned()).collect();
    let message = format!("{}: {}", counted(gateways.len(), "gateway"), names.join(", "));
    match gateways.iter().find(|gateway| gateway.mode & 0o077 != 0) {
        Some(open) => {
            let dir = home.join("gateways").join(&open.name);
            tell(Status::Warning, message).with_hint(format!(
                "others may look into `{0}` (mode {1:04o}): `chmod 700 {0}`",
                dir.display(),
                open.mode
            ))
        }
        None => tell(Status::Ok, message),
    }
}
