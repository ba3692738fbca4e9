//! The policy file of a refused reload as kt can read it itself, to draw the findings in it: beneath the gateway's
//! working directory and over no link, and only if it is the file that the gateway read.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use policy_config::{Finding, PolicyDocument};

/// More is refused unread by the gateway too.
const LARGEST: u64 = 256 * 1024;

/// Where it would lie.
#[derive(Debug, Clone)]
pub(in crate::commands::gateway) struct Source {
    working_dir: PathBuf,
    path: PathBuf,
}

// === impl Source ===

impl Source {
    pub(in crate::commands::gateway) fn new(working_dir: &Path, path: &Path) -> Self {
        Self { working_dir: working_dir.to_owned(), path: path.to_owned() }
    }

    /// Its name and bytes, if these are the ones that have these findings.
    pub(super) fn of(&self, findings: &[Finding]) -> Option<(String, Vec<u8>)> {
        let bytes = self.read()?;
        let (_, found) = PolicyDocument::new(bytes.clone()).parse();
        let same = found.findings.len() >= findings.len()
            && findings.iter().all(|finding| found.findings.contains(finding));
        same.then(|| (self.path.display().to_string(), bytes))
    }

    fn read(&self) -> Option<Vec<u8>> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let mut at: OwnedFd = File::open(&self.working_dir).ok()?.into();
        let mut components =
            self.path.components().filter(|component| *component != Component::CurDir).peekable();
        while let Some(component) = components.next() {
            let Component::Normal(name) = component else { return None };
            let kind = if components.peek().is_some() { OFlag::O_DIRECTORY } else { OFlag::empty() };
            at = openat(&at, name, flags | kind | OFlag::O_RDONLY, Mode::empty()).ok()?;
        }
        instance::durable::read_open(&File::from(at), LARGEST).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_gateway_read_is_shown_and_over_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("pack.yaml"), "pack: 1\n").unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/pack.yaml"), "pack: 1\n").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("sub/pack.yaml", dir.path().join("inside.yaml")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("fifo"), Mode::S_IRWXU).unwrap();
        let (_, found) = PolicyDocument::new("pack: 1\n").parse();
        let shown = |path: &str| Source::new(dir.path(), Path::new(path)).of(&found.findings).is_some();
        assert!(shown("sub/pack.yaml") && shown("./sub/./pack.yaml"));
        for path in [
            "link/pack.yaml",
            "inside.yaml",
            "../x",
            "sub/../sub/pack.yaml",
            "/etc/passwd",
            "fifo",
            "sub",
            "",
        ] {
            assert!(!shown(path), "{path}");
        }
        std::fs::write(dir.path().join("sub/pack.yaml"), "pack: {name: changed-meanwhile}\n").unwrap();
        assert!(!shown("sub/pack.yaml"), "it is another one now");
    }
}
