//! Debian packages that the suites need: installed where that needs no question (root, or sudo without a
//! password), else the line that somebody has to run is told.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cargo::{command, succeed};
use crate::{Outcome, say};

const INSTALL: [&str; 3] = ["install", "-y", "--no-install-recommends"];

/// How this process may act as root.
#[derive(Clone, Copy)]
pub(crate) enum Privilege {
    Root,
    Sudo,
}

/// The line for somebody to run.
pub(crate) fn by_hand(package: &str) -> String {
    format!("apt-get {} {package}", INSTALL.join(" "))
}

/// How packages can be installed here; `None`: not without asking somebody.
pub(crate) fn privilege() -> Option<Privilege> {
    if !succeeds("apt-get", &["--version"]) {
        return None;
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root {
        return Some(Privilege::Root);
    }
    succeeds("sudo", &["-n", "true"]).then_some(Privilege::Sudo)
}

pub(crate) fn install(privilege: Privilege, package: &str) -> Outcome {
    say(&format!("`{package}` is not installed; running: {}", by_hand(package)));
    succeed(apt(privilege).arg("update"))?;
    succeed(apt(privilege).args(INSTALL).arg(package))
}

/// What only some suites need: without it they say so themselves, so a failure here ends nothing.
pub(crate) fn wish_for(program: &str, package: &str) {
    if on_path(program).is_some() {
        return;
    }
    let installed = privilege().map(|privilege| install(privilege, package));
    match installed {
        Some(Ok(())) => {}
        Some(Err(problem)) => say(&format!("{problem}; some tests need `{program}`: {}", by_hand(package))),
        None => say(&format!("some tests need `{program}`; install it with: {}", by_hand(package))),
    }
}

pub(crate) fn privileged(privilege: Privilege, program: &str) -> Command {
    match privilege {
        Privilege::Root => command(program),
        Privilege::Sudo => {
            let mut sudo = command("sudo");
            sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", program]);
            sudo
        }
    }
}

/// Every directory of the PATH, in its order.
pub(crate) fn search_path() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

fn on_path(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|place| place.join(program)).find(|file| file.is_file())
}

fn apt(privilege: Privilege) -> Command {
    let mut apt = privileged(privilege, "apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    apt
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
