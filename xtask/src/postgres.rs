//! Sees to it that PostgreSQL's programs are installed: finds them, else installs their package, else says which
//! line to run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::cargo::succeed;
use crate::packages::{self, Privilege};

const PACKAGE: &str = "postgresql";
/// Debian's package would otherwise make a cluster of its own and start it at boot.
const NO_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.conf";
const NO_CLUSTER: &str = "create_main_cluster = false\n";

pub(crate) fn ensure() -> Outcome {
    if find("postgres").is_some() {
        return Ok(());
    }
    let missing = format!(
        "no PostgreSQL server programs found (looked in $KT_PG_BIN, $PATH, /usr/lib/postgresql/*/bin); \
         install PostgreSQL 15 or newer, on Debian and Ubuntu with: {}",
        packages::by_hand(PACKAGE)
    );
    let Some(privilege) = packages::privilege() else { return Err(missing) };
    write_no_cluster(privilege)?;
    packages::install(privilege, PACKAGE)?;
    find("postgres").map(drop).ok_or(missing)
}

/// A program of PostgreSQL's: beside the server first, then wherever the PATH has it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let chosen = std::env::var_os("KT_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from);
    let places =
        chosen.into_iter().chain(packages::search_path()).chain(installed(Path::new("/usr/lib/postgresql")));
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

fn write_no_cluster(privilege: Privilege) -> Outcome {
    if Path::new(NO_CLUSTER_FILE).exists() {
        return Ok(());
    }
    let mut shell = packages::privileged(privilege, "sh");
    shell.args(["-c", "mkdir -p \"$(dirname \"$1\")\" && printf %s \"$2\" > \"$1\"", "sh"]);
    succeed(shell.args([NO_CLUSTER_FILE, NO_CLUSTER]))
}
