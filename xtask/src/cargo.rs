//! Runs cargo from inside cargo without making it rebuild the world.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(target)
}

/// Where the dev profile puts its programs.
pub(crate) fn programs() -> PathBuf {
    target().join("debug")
}

/// A command in the root of the checkout, in the environment of a shell.
///
/// `cargo run` exports variables that build scripts watch: with them left in, ring and all above it are built
/// again at every change between a nested and a plain cargo.
pub(crate) fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_cargos_own) {
            command.env_remove(name);
        }
    }
    command
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = command("cargo");
    command.args(arguments);
    command
}

/// Everything in one shape, so that no command builds dependencies with other features than the last one.
pub(crate) fn build_all() -> Outcome {
    succeed(&mut cargo(&["build", "--workspace", "--all-targets", "--locked"]))
}

pub(crate) fn succeed(command: &mut Command) -> Outcome {
    let shown = show(command);
    let status = command.status().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})")) }
}

pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// `CARGO_HOME`, `CARGO_TARGET_DIR`, `CARGO_NET_OFFLINE` and the like are the user's and stay.
fn is_cargos_own(name: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    ["CARGO", "CARGO_PRIMARY_PACKAGE", "LD_LIBRARY_PATH", "OUT_DIR"].contains(&name)
        || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_run_exports_is_taken_out_and_the_users_settings_stay() {
        for name in ["CARGO", "CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR", "LD_LIBRARY_PATH"] {
            assert!(is_cargos_own(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "PATH", "DATABASE_URL"] {
            assert!(!is_cargos_own(name), "{name}");
        }
        let nested = command("true");
        let removed = nested.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name);
        assert!(removed.into_iter().any(|name| name == "CARGO_MANIFEST_DIR"));
    }
}
