//! Makes the archive: a staged directory, then `tar` and `gzip` with nothing of this machine or moment in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::contents::{Item, Source};
use crate::Outcome;
use crate::cargo::{command, root, succeed};

/// Where things come from and go to.
pub(crate) struct Plan<'a> {
    /// Of the archive, and of the one directory in it.
    pub(crate) name: &'a str,
    /// The directory with the built programs.
    pub(crate) programs: &'a Path,
    pub(crate) into: &'a Path,
    /// What every file's time is, in seconds since 1970.
    pub(crate) time: u64,
}

// === impl Plan ===

impl Plan<'_> {
    /// Stages `items`, packs them, and writes the sum beside the archive.
    pub(crate) fn make(&self, items: &[Item]) -> Result<PathBuf, String> {
        let staged = self.into.join(self.name);
        if staged.exists() {
            fs::remove_dir_all(&staged)
                .map_err(|error| format!("cannot remove {}: {error}", staged.display()))?;
        }
        for item in items {
            self.stage(&staged, item)?;
        }
        let tar = self.into.join(format!("{}.tar", self.name));
        let mut pack = command("tar");
        pack.args(["--create", "--format=ustar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
        pack.arg(format!("--mtime=@{}", self.time)).arg("--file").arg(&tar);
        succeed(pack.arg("--directory").arg(self.into).arg(self.name))?;
        succeed(command("gzip").args(["--best", "--no-name", "--force"]).arg(&tar))?;
        let archive = format!("{}.tar.gz", self.name);
        self.write_sum(&archive)?;
        Ok(self.into.join(archive))
    }

    fn stage(&self, staged: &Path, item: &Item) -> Outcome {
        let path = staged.join(&item.path);
        let cannot = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(cannot)?;
            fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(cannot)?;
        }
        fs::write(&path, self.bytes(&item.source)?).map_err(cannot)?;
        let mode = if matches!(item.source, Source::Program(_)) { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(cannot)
    }

    fn bytes(&self, source: &Source) -> Result<Vec<u8>, String> {
        let read = |path: PathBuf| {
            fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        match source {
            Source::Program(name) => read(self.programs.join(name)),
            Source::File(path) => read(root().join(path)),
            Source::Text(text) => Ok(text.clone().into_bytes()),
            Source::Completions(shell) => {
                let output = command(self.programs.join("kt")).args(["completions", shell]).output();
                let output = output.map_err(|error| format!("cannot run the built kt: {error}"))?;
                if output.status.success() {
                    Ok(output.stdout)
                } else {
                    Err(format!("`kt completions {shell}` failed ({})", output.status))
                }
            }
        }
    }

    /// As `sha256sum --check` reads it.
    fn write_sum(&self, archive: &str) -> Outcome {
        let output = command("sha256sum").arg(archive).current_dir(self.into).output();
        let output = output.map_err(|error| format!("cannot run sha256sum: {error}"))?;
        if !output.status.success() {
            return Err(format!("sha256sum failed ({})", output.status));
        }
        let path = self.into.join(format!("{archive}.sha256"));
        fs::write(&path, output.stdout).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// `SOURCE_DATE_EPOCH`, else the time of the commit, else 1970.
pub(crate) fn time() -> u64 {
    if let Some(told) = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()) {
        return told;
    }
    let output = command("git").args(["log", "-1", "--format=%ct"]).output();
    output.ok().and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::contents::{PROGRAMS, list};

    /// The real list with stand-ins for what takes minutes to build.
    fn make(directory: &Path) -> (Vec<u8>, String) {
        let programs = directory.join("programs");
        fs::create_dir_all(&programs).expect("a directory");
        for program in PROGRAMS {
            let path = programs.join(program);
            fs::write(&path, "#!/bin/sh\necho \"$0 $*\" | sed 's|.*/||'\n").expect("a program");
            fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("a mode");
        }
        let plan = Plan { name: "kt-0-test", programs: &programs, into: directory, time: 1_000_000_000 };
        let archive = plan.make(&list(&root()).expect("a list")).expect("an archive");
        let listed =
            command("tar").args(["--list", "--verbose", "--utc", "--gzip", "--file"]).arg(&archive).output();
        let checked =
            command("sha256sum").args(["--check", "kt-0-test.tar.gz.sha256"]).current_dir(directory).output();
        assert!(checked.expect("sha256sum").status.success(), "the sum is that of the archive");
        let listed = String::from_utf8(listed.expect("tar").stdout).expect("text");
        (fs::read(archive).expect("an archive"), listed)
    }

    #[test]
    fn the_same_things_make_the_same_bytes_and_belong_to_nobody() {
        let place = std::env::temp_dir().join(format!("kt-dist-{}", std::process::id()));
        let (one, listed) = make(&place.join("one"));
        let (two, _) = make(&place.join("two"));
        fs::remove_dir_all(&place).expect("it is ours");
        assert!(one == two, "two archives of the same things differ");
        assert_eq!(one[3..8], [0; 5], "gzip keeps neither a name nor a time");
        let paths: Vec<&str> = listed.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert!(paths.is_sorted() && paths.len() > 15, "{paths:?}");
        for line in listed.lines() {
            assert!(line.contains(" 0/0 ") && line.contains("2001-09-09 01:46"), "{line}");
        }
        let mode = |path: &str| {
            let line = listed.lines().find(|line| line.ends_with(&format!(" kt-0-test/{path}")));
            line.unwrap_or_else(|| panic!("{path} is not in\n{listed}")).split(' ').next().unwrap_or_default()
        };
        assert_eq!(mode("bin/kt-gateway"), "-rwxr-xr-x");
        assert_eq!(mode("completions/kt.fish"), "-rw-r--r--");
        assert_eq!(mode("systemd/kt-gateway@.service"), "-rw-r--r--");
    }
}
