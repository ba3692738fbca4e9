//! Finds the programs that `kt` runs: beside itself, then on PATH, of the same version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Exit, Failure};

/// What this build is, and so must be what it runs.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The path of `name`, once its version was found to be that of `kt`.
pub(crate) fn find(name: &str) -> Result<PathBuf, Failure> {
    let program = locate(name).ok_or_else(|| {
        Failure::new(Exit::NotFound, "program_missing", format!("`{name}` is neither beside kt nor on PATH"))
            .with_hint("the three programs belong together: install them from one archive")
    })?;
    check_version(&program, name)?;
    Ok(program)
}

/// The path of `name`, whatever it is: beside `kt`, then on PATH.
pub(crate) fn locate(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|kt| kt.parent().map(Path::to_path_buf));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let places = beside.into_iter().chain(std::env::split_paths(&on_path));
    places.map(|place| place.join(name)).find(|program| is_executable(program))
}

pub(crate) fn is_executable(program: &Path) -> bool {
    program.is_file() && nix::unistd::access(program, nix::unistd::AccessFlags::X_OK).is_ok()
}

fn check_version(program: &Path, name: &str) -> Result<(), Failure> {
    let shown = program.display();
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().map_err(|error| {
        Failure::new(Exit::Failed, "program_broken", format!("cannot run `{shown}`: {error}"))
            .with_hint("install the three programs from one archive")
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answered = text.lines().next().unwrap_or_default().trim();
    match answered.strip_prefix(name).map(str::trim) {
        Some(VERSION) => Ok(()),
        Some(other) if !other.is_empty() => Err(Failure::new(
            Exit::Conflict,
            "version_mismatch",
            format!("`{shown}` is version {other}, and kt is {VERSION}"),
        )
        .with_hint("install the three programs from one archive")),
        _ => Err(Failure::new(
            Exit::Failed,
            "program_broken",
            format!("`{shown}` does not say its version: it answered `{answered}`"),
        )
        .with_hint("install the three programs from one archive")),
    }
}
