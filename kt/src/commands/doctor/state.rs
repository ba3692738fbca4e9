//! The directory that holds state, and the token file.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};

use super::setting::{Chosen, Source};
use super::{Check, Status};
use crate::input::{OpenError, open_regular};

/// Less room than this is soon too little: packs, history, logs.
const LITTLE_ROOM: u128 = 100 * 1024 * 1024;
/// Less than this, and no pack can be kept.
const NO_ROOM: u128 = 2 * 1024 * 1024;

/// `named`: somebody chose it.
pub(super) fn directory(path: &Path, named: bool) -> Check {
    let shown = path.display();
    let tell = |status, message: String| Check::new("state_dir", status, message);
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return absent(path, named),
        Err(error) => return tell(Status::Problem, format!("`{shown}` cannot be looked at: {error}")),
    };
    if !metadata.is_dir() {
        return tell(Status::Problem, format!("`{shown}` is no directory"))
            .with_hint("name another one with KT_HOME");
    }
    let me = geteuid();
    if metadata.uid() != me.as_raw() && !me.is_root() {
        let message = format!("`{shown}` belongs to user {}, and kt runs as {me}", metadata.uid());
        return tell(Status::Problem, message).with_hint("name one of your own with KT_HOME");
    }
    if let Err(error) = access(path, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK) {
        return tell(Status::Problem, format!("`{shown}` cannot be written: {}", error.desc()))
            .with_hint("see its permissions and how its disk is mounted");
    }
    let mode = metadata.mode() & 0o7777;
    let room = match statvfs(path) {
        Ok(disk) => u128::from(disk.blocks_available()) * u128::from(disk.fragment_size()),
        Err(error) => {
            return tell(Status::Warning, format!("`{shown}`: no word of its disk: {}", error.desc()));
        }
    };
    let message = format!("`{shown}`, mode {mode:04o}, {} MiB free", room / (1024 * 1024));
    if room < NO_ROOM {
        tell(Status::Problem, message).with_hint("the disk is full: no pack can be kept")
    } else if room < LITTLE_ROOM {
        tell(Status::Warning, message).with_hint("the disk is nearly full")
    } else if mode & 0o022 != 0 {
        tell(Status::Warning, message).with_hint("others may write there: `chmod go-w` it")
    } else {
        tell(Status::Ok, message)
    }
}

/// It is made when it is needed, if it can be.
fn absent(path: &Path, named: bool) -> Check {
    let shown = path.display();
    let above = path.ancestors().skip(1).find(|above| above.exists()).map(Path::to_path_buf);
    let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| PathBuf::from("."));
    let writable = above.is_dir() && access(&above, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    if writable {
        let message = format!("`{shown}` is not there yet; the first gateway makes it");
        return Check::new("state_dir", Status::Skipped, message);
    }
    let status = if named { Status::Problem } else { Status::Warning };
    let message = format!("`{shown}` is not there and cannot be made below `{}`", above.display());
    Check::new("state_dir", status, message).with_hint("name another one with KT_HOME")
}

pub(super) fn token_file(chosen: &Chosen<PathBuf>) -> Check {
    let shown = chosen.value.display();
    let tell = |status, message: String| Check::new("token_file", status, message);
    let file = match open_regular(&chosen.value) {
        Ok(file) => file,
        Err(OpenError::Missing) if chosen.source == Source::Default => {
            return tell(Status::Skipped, format!("there is no `{shown}`"))
                .with_hint("set KT_TOKEN_FILE to the operator.token of a control plane to use one");
        }
        Err(error) => {
            let hint = "KT_TOKEN_FILE names the operator.token in the data directory of the control plane";
            return tell(Status::Problem, format!("`{shown}` {error}")).with_hint(hint);
        }
    };
    let mode = file.mode & 0o7777;
    if mode & 0o077 != 0 {
        return tell(Status::Problem, format!("`{shown}` may be read by others (mode {mode:04o})"))
            .with_hint(format!("make it your own with `chmod 600 {shown}`"));
    }
    tell(Status::Ok, format!("`{shown}`, mode {mode:04o}"))
}
