//! One user of one machine who types `kt gateway …`: a home of their own, real programs, real supervisors. What still
//! runs at the end is stopped; of a test that failed the logs are shown.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::eventually::eventually;
use crate::kt::{Kt, Said};

/// The key that packs ask for, as every [`Host`] holds it.
pub const KEY: &str = "OPENAI_API_KEY";

/// A user, their home and the gateways they installed.
#[derive(Debug)]
pub struct Host {
    kt: Kt,
}

/// How long a command of the local loop, or what it starts, may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

// === impl Host ===

impl Host {
    /// The user who runs the tests.
    #[expect(clippy::new_without_default, reason = "it makes a directory and may refuse")]
    pub fn new() -> Self {
        Self { kt: Kt::new().with(KEY, "sk-test") }
    }

    /// An ordinary user; `None`, in words, where the tests run as one already.
    pub fn ordinary() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("the tests run as an ordinary user already");
            return None;
        }
        Some(Self { kt: Kt::as_nobody().with(KEY, "sk-test") })
    }

    /// With one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.kt.set(name, value);
        self
    }

    pub fn kt(&self) -> &Kt {
        &self.kt
    }

    /// Where commands are typed.
    pub fn home(&self) -> &Path {
        self.kt.home()
    }

    /// Types a line; words are split at blanks.
    pub fn types(&self, line: &str) -> Said {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (first, words) = words.split_first().expect("a line has words");
        assert_eq!(*first, "kt", "{line}");
        self.kt.run(words)
    }

    /// Writes a file into the directory where commands are typed.
    pub fn writes(&self, name: &str, content: impl AsRef<[u8]>) {
        self.kt.file(name, content);
    }

    /// Installs a gateway from `policy-config.yaml`, which is there, and starts it; answers where it serves.
    pub fn serves(&self, name: &str) -> String {
        let listen = free_address();
        self.types(&format!(
            "kt gateway install --name {name} --listen {listen} --policy-config policy-config.yaml"
        ))
        .ok();
        self.types(&format!("kt gateway start --name {name}")).ok();
        listen
    }

    pub fn status(&self, name: &str) -> Value {
        self.types(&format!("kt gateway status --name {name} --json")).ok().json()
    }

    pub fn history(&self, name: &str) -> Vec<Value> {
        let told = self.types(&format!("kt gateway status --name {name} --history-json")).ok().json();
        told.as_array().expect("an array").clone()
    }

    /// Actions and outcomes, the oldest first.
    pub fn acts(&self, name: &str) -> Vec<String> {
        let word = |record: &Value, key: &str| record[key].as_str().unwrap_or("?").to_owned();
        self.history(name)
            .iter()
            .map(|it| format!("{} {}", word(it, "action"), word(it, "outcome")))
            .collect()
    }

    /// The process that serves.
    pub fn pid(&self, name: &str) -> i32 {
        let pid = self.status(name)["pid"].as_i64().expect("it runs");
        i32::try_from(pid).expect("a pid is small")
    }

    /// The gateway's own directory.
    pub fn dir(&self, name: &str) -> PathBuf {
        self.gateways().join(name)
    }

    /// Waits until `status` satisfies; answers it.
    pub async fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(what, PATIENCE, async || {
            let status = self.status(name);
            if holds(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }

    fn gateways(&self) -> PathBuf {
        let home = self.kt.variable("KT_HOME").map(PathBuf::from);
        home.unwrap_or_else(|| self.home().join(".local/state/kt")).join("gateways")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let names = std::fs::read_dir(self.gateways()).into_iter().flatten().flatten();
        for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
            if std::thread::panicking() {
                for log in ["supervisor.log", "gateway.log"] {
                    let log = self.dir(&name).join("logs").join(log);
                    let text = std::fs::read_to_string(&log).unwrap_or_default();
                    let lines: Vec<&str> = text.lines().collect();
                    let end = lines[lines.len().saturating_sub(30)..].join("\n");
                    eprintln!("--- the end of {}\n{end}", log.display());
                }
            }
            // A gateway that a test broke may not stop in order; what is left is told by the process list.
            let _ = self.kt.run(&["gateway", "stop", "--name", &name, "--timeout", "10s"]);
        }
    }
}

/// A free address on loopback. Another process may take it before it is used; then a test fails with "in use".
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}
