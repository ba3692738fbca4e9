//! Finds the installed server and asks which it is.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// The oldest major version whose features the migrations may use.
pub(crate) const OLDEST_MAJOR: u32 = 15;

/// Where distributions install server binaries that are not on the PATH: one directory per major below.
const ROOTS: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql"];

/// The directory with `postgres` and `initdb`: `$KT_PG_BIN`, else the PATH, else the newest installed major.
///
/// # Errors
/// [`Error::NotThere`] for a wrong `KT_PG_BIN`, [`Error::NotInstalled`] when there is no server.
pub fn find_bin() -> Result<PathBuf, Error> {
    if let Some(chosen) = std::env::var_os("KT_PG_BIN").filter(|value| !value.is_empty()) {
        let chosen = PathBuf::from(chosen);
        return resolve(&chosen).ok_or(Error::NotThere(chosen));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let majors = ROOTS.iter().flat_map(|root| newest_first(Path::new(root)));
    std::env::split_paths(&path).chain(majors).find_map(|dir| resolve(&dir)).ok_or(Error::NotInstalled)
}

/// The major version of the server in `bin`.
pub(crate) fn major(bin: &Path) -> Result<u32, Error> {
    let program = bin.join("postgres");
    let output = Command::new(&program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::disk("run", &program))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = parse_major(&text).ok_or_else(|| Error::Failed {
        program: "postgres --version",
        status: output.status.to_string(),
        output: format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    })?;
    if found < OLDEST_MAJOR {
        return Err(Error::TooOld { found, wanted: OLDEST_MAJOR });
    }
    Ok(found)
}

/// Links are followed, because `initdb` looks for `postgres` beside its own real path.
fn resolve(dir: &Path) -> Option<PathBuf> {
    let (server, initdb) = (dir.join("postgres"), dir.join("initdb"));
    if !server.is_file() || !initdb.is_file() {
        return None;
    }
    Some(fs::canonicalize(server).ok()?.parent()?.to_path_buf())
}

fn newest_first(root: &Path) -> Vec<PathBuf> {
    let mut majors: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            Some((major, entry.path().join(OsStr::new("bin"))))
        })
        .collect();
    majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    majors.into_iter().map(|(_, bin)| bin).collect()
}

/// From `postgres (PostgreSQL) 15.18 (Debian …)` or `… 18beta2`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let digits = number.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_is_read_from_releases_betas_and_packaged_versions() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta2\n"), Some(18));
        assert_eq!(parse_major("postgres (EnterpriseDB) x\n"), None);
        assert_eq!(parse_major("postgres (PostgreSQL) devel\n"), None);
    }

    #[test]
    fn installed_majors_are_tried_newest_first_and_other_entries_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "16", "common"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let order: Vec<_> = newest_first(root.path());
        let expected: Vec<_> =
            ["16", "15", "9"].iter().map(|name| root.path().join(name).join("bin")).collect();
        assert_eq!(order, expected);
    }
}
