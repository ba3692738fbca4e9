//! The real `kt` in a home of its own: runs it as typed, and shows what it said with volatile text filtered.
//!
//! It refuses a binary that is missing or older than its sources, for such a test would judge another program.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use regex::Regex;
use tempfile::TempDir;

/// `kt` with a private home and nothing of the caller's environment but PATH.
#[derive(Debug)]
pub struct Kt {
    home: TempDir,
    program: PathBuf,
    variables: Vec<(String, String)>,
    /// User and group of another user than the one who runs the tests.
    user: Option<(u32, u32)>,
}

/// What one command said. `Display` is what snapshots hold: exit code, stdout, stderr, filtered.
#[derive(Debug, Clone)]
pub struct Said {
    pub code: i32,
    /// Exactly as printed.
    pub stdout: String,
    pub stderr: String,
    home: String,
}

// === impl Kt ===

impl Kt {
    /// # Panics
    /// When the binary is missing or stale; run `cargo xtask test`, which builds first.
    #[expect(clippy::new_without_default, reason = "it makes a directory and may refuse")]
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("kt-home-").tempdir().expect("a temporary directory");
        Self { home, program: fresh_binary("kt"), variables: Vec::new(), user: None }
    }

    /// As [`Self::new`], typed by `nobody`, who owns the home. For root alone.
    ///
    /// # Panics
    /// As [`Self::new`], or there is no such user.
    pub fn as_nobody() -> Self {
        let nobody = nix::unistd::User::from_name("nobody").ok().flatten().expect("a user `nobody`");
        let mut kt = Self::new();
        std::os::unix::fs::chown(kt.home(), Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()))
            .expect("root gives a directory away");
        kt.user = Some((nobody.uid.as_raw(), nobody.gid.as_raw()));
        kt.program = kt.within_reach();
        kt
    }

    /// The programs where every user may run them: the build's own directory may be a private one.
    fn within_reach(&self) -> PathBuf {
        let reached = self.command(&self.program).arg("--version").output();
        if reached.is_ok_and(|output| output.status.success()) {
            return self.program.clone();
        }
        let programs = self.home().join("programs");
        std::fs::create_dir(&programs).expect("a directory in the home");
        for name in ["kt", "kt-gateway"] {
            std::fs::copy(fresh_binary(name), programs.join(name)).expect("a copy of a program");
        }
        std::fs::set_permissions(&programs, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("a mode");
        programs.join("kt")
    }

    /// Sets a variable for every command from here on.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.set(name, value);
        self
    }

    /// As [`Kt::with`].
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.variables.push((name.to_owned(), value.as_ref().to_string_lossy().into_owned()));
    }

    /// What [`Kt::with`] set last.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().rev().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file below the home and answers its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.home().join(name);
        std::fs::write(&path, content).expect("a file in the home");
        if let Some((uid, gid)) = self.user {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("root gives a file away");
        }
        path.to_string_lossy().into_owned()
    }

    /// Runs `kt` with these words and nothing on stdin.
    pub fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Said {
        self.run_with_input(words, b"")
    }

    pub fn run_with_input<W: AsRef<OsStr>>(&self, words: &[W], input: &[u8]) -> Said {
        let mut child = self.spawn(words, Stdio::piped());
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A command that does not read its input closes it early.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().expect("kt runs");
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            home: self.home().to_string_lossy().into_owned(),
        }
    }

    /// Starts `kt` with piped stdout and stderr, for commands that stay.
    pub fn spawn<W: AsRef<OsStr>>(&self, words: &[W], stdin: Stdio) -> Child {
        let mut command = self.command(&self.program);
        command.args(words).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("kt starts")
    }

    /// A program in this home, as this user, with nothing of the caller's environment but PATH.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.home());
        command.env("HOME", self.home()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The program that is run.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

// === impl Said ===

impl Said {
    /// stdout as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// The `error` object on stderr.
    pub fn error(&self) -> serde_json::Value {
        let document: serde_json::Value = serde_json::from_str(&self.stderr)
            .unwrap_or_else(|error| panic!("no JSON on stderr ({error}): {self}"));
        document["error"].clone()
    }

    /// Fails with everything that was said unless the command exited with 0.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "\n--- {name}\n{}", filtered(text, &self.home).trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}

/// The built program beside this one, or beside this test's directory.
///
/// # Panics
/// When it is missing or older than a source it was built from.
pub fn fresh_binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let place = test.parent().expect("target/<profile>, or deps in it");
    let programs = if place.ends_with("deps") { place.parent().expect("target/<profile>") } else { place };
    let program = programs.join(name);
    let built = modified(&program).unwrap_or_else(|| {
        panic!("{} is missing: run `cargo xtask test`, which builds first", program.display())
    });
    let sources = std::fs::read_to_string(programs.join(format!("{name}.d"))).unwrap_or_default();
    for source in dependencies(&sources) {
        let newer = modified(&source).is_some_and(|touched| touched > built);
        assert!(
            !newer,
            "{} is older than {}: run `cargo xtask test`, which builds first",
            program.display(),
            source.display()
        );
    }
    program
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// The right side of cargo's dep-info; spaces in names are escaped.
fn dependencies(dep_info: &str) -> Vec<PathBuf> {
    let right = dep_info.split_once(": ").map_or("", |(_, right)| right).trim_end();
    let spaced = right.replace("\\ ", "\u{0}");
    spaced.split(' ').filter(|name| !name.is_empty()).map(|name| name.replace('\u{0}', " ").into()).collect()
}

fn filtered(text: &str, home: &str) -> String {
    const FILTERS: [(&str, &str); 6] = [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:<port>"),
        (r"sha256:[0-9a-f]{12,64}", "<digest>"),
        (r"(/var/lib|<home>/\.local/share)/kt/control-plane", "<data>"),
        (r"(?m)[ \t]+$", ""),
    ];
    let mut text = text.replace(home, "<home>");
    for (pattern, replacement) in FILTERS {
        let pattern = Regex::new(pattern).expect("a filter is a regex");
        text = pattern.replace_all(&text, replacement).into_owned();
    }
    text
}
