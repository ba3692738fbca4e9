//! Sees to it that PostgreSQL's programs are installed: finds them, else installs them where that needs no
//! question (root, or sudo without a password), else says which line to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::{command, succeed};
use crate::{Outcome, say};

const INSTALL: [&str; 4] = ["install", "-y", "--no-install-recommends", "postgresql"];
/// Debian's package would otherwise make a cluster of its own and start it at boot.
const NO_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.conf";
const NO_CLUSTER: &str = "create_main_cluster = false\n";

pub(crate) fn ensure() -> Outcome {
    if find("postgres").is_some() {
        return Ok(());
    }
    let by_hand = format!("apt-get {}", INSTALL.join(" "));
    let missing = format!(
        "no PostgreSQL server programs found (looked in $KT_PG_BIN, $PATH, /usr/lib/postgresql/*/bin); \
         install PostgreSQL 15 or newer, on Debian and Ubuntu with: {by_hand}"
    );
    let Some(privilege) = privilege().filter(|_| succeeds("apt-get", &["--version"])) else {
        return Err(missing);
    };
    say(&format!("PostgreSQL is not installed; running: {by_hand}"));
    write_no_cluster(privilege)?;
    succeed(apt(privilege).arg("update"))?;
    succeed(apt(privilege).args(INSTALL))?;
    find("postgres").map(drop).ok_or(missing)
}

/// A program of PostgreSQL's: beside the server first, then wherever the PATH has it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let chosen = std::env::var_os("KT_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = chosen.into_iter().chain(on_path).chain(installed(Path::new("/usr/lib/postgresql")));
    places.map(|place| place.join(program)).find(|file| file.is_file())
}

/// Newest major first.
fn installed(root: &Path) -> Vec<PathBuf> {
    let mut majors: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    majors.into_iter().map(|(_, bin)| bin).collect()
}

#[derive(Clone, Copy)]
enum Privilege {
    Root,
    Sudo,
}

fn privilege() -> Option<Privilege> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root {
        return Some(Privilege::Root);
    }
    succeeds("sudo", &["-n", "true"]).then_some(Privilege::Sudo)
}

fn privileged(privilege: Privilege, program: &str) -> Command {
    match privilege {
        Privilege::Root => command(program),
        Privilege::Sudo => {
            let mut sudo = command("sudo");
            sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", program]);
            sudo
        }
    }
}

fn apt(privilege: Privilege) -> Command {
    let mut apt = privileged(privilege, "apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    apt
}

fn write_no_cluster(privilege: Privilege) -> Outcome {
    if Path::new(NO_CLUSTER_FILE).exists() {
        return Ok(());
    }
    let mut shell = privileged(privilege, "sh");
    shell.args(["-c", "mkdir -p \"$(dirname \"$1\")\" && printf %s \"$2\" > \"$1\"", "sh"]);
    succeed(shell.args([NO_CLUSTER_FILE, NO_CLUSTER]))
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
