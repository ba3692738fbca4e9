//! A host of its own for gateways that `kt` starts: a home, free ports, and nothing left running.

#![cfg(test)]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::eventually::eventually;
use tests::kt::{Kt, Said, fresh_binary};
use tests::programs::free_port;

/// For what a loaded machine does slowly.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const PACK: &str = include_str!("../../examples/policy-config.yaml");

/// `kt` in a home, and the gateways that were started there; dropped, they end.
pub(crate) struct Host {
    pub(crate) kt: Kt,
    pub(crate) port: u16,
}

// === impl Host ===

impl Host {
    /// With the example pack as `policy-config.yaml`, and its key set.
    pub(crate) fn new() -> Self {
        Self::of(Kt::new())
    }

    pub(crate) fn of(kt: Kt) -> Self {
        fresh_binary("kt-gateway");
        kt.file("policy-config.yaml", PACK);
        Self { kt: kt.with("OPENAI_API_KEY", "nothing-calls-it"), port: free_port() }
    }

    /// Words in one text, `{port}` filled in.
    pub(crate) fn run(&self, words: &str) -> Said {
        let words = words.replace("{port}", &self.port.to_string());
        self.kt.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn install(&self, name: &str) -> Said {
        self.run(&format!(
            "gateway install --name {name} --listen 127.0.0.1:{{port}} --policy-config policy-config.yaml"
        ))
    }

    /// Installs and starts.
    pub(crate) fn up(&self, name: &str) {
        let _ = self.install(name).ok();
        let _ = self.run(&format!("gateway start --name {name}")).ok();
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        self.run(&format!("gateway status --name {name} --json")).ok().json()
    }

    pub(crate) fn pid(&self, name: &str) -> i32 {
        let pid = self.status(name)["pid"].as_i64().expect("a gateway that runs");
        i32::try_from(pid).expect("a pid")
    }

    /// `action outcome` of each record, the oldest first.
    pub(crate) fn history(&self, name: &str) -> Vec<String> {
        let told = self.run(&format!("gateway status --name {name} --history-json")).ok().json();
        let word = |record: &Value, key: &str| record[key].as_str().expect("a word").to_owned();
        let records = told.as_array().expect("an array").iter();
        records.map(|record| format!("{} {}", word(record, "action"), word(record, "outcome"))).collect()
    }

    pub(crate) fn state(&self) -> PathBuf {
        match self.kt.variable("KT_HOME") {
            Some(home) => home.into(),
            None => self.kt.home().join(".local/state/kt"),
        }
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.state().join("gateways").join(name)
    }

    /// A pack of another version, put in place of the one that is there.
    pub(crate) fn write_version(&self, version: &str) {
        self.kt.file("policy-config.yaml", PACK.replace("0.1.0", version));
    }

    /// The version that answers a client.
    pub(crate) async fn served(&self) -> Result<String, String> {
        let url = format!("http://127.0.0.1:{}/v1/models", self.port);
        let answer = tests::http::Http::new().get(&url).await.map_err(|error| format!("{error:#}"))?;
        answer.version().map(str::to_owned).ok_or_else(|| answer.text())
    }

    pub(crate) async fn until_serves(&self, version: &str) {
        eventually(&format!("it serves {version}"), PATIENCE, async || match self.served().await {
            Ok(served) if served == version => Ok(()),
            other => Err(other),
        })
        .await;
    }

    /// The process of the supervisor, by the lock it holds.
    pub(crate) fn supervisor(&self, name: &str) -> Option<i32> {
        let wanted = std::fs::metadata(self.dir(name).join("supervisor.lock")).ok()?;
        holder(&wanted)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let names = std::fs::read_dir(self.state().join("gateways")).into_iter().flatten().flatten();
        for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
            if !name.starts_with('.') {
                self.run(&format!("gateway stop --name {name} --timeout 20s"));
            }
        }
    }
}

/// Who holds a lock on this file, as the kernel lists it.
fn holder(file: &std::fs::Metadata) -> Option<i32> {
    use std::os::unix::fs::MetadataExt;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let inode = format!(":{}", file.ino());
    let line = locks
        .lines()
        .find(|line| line.contains("FLOCK") && line.split_whitespace().any(|word| word.ends_with(&inode)))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

/// The programs where another user may run them, and that user's home; dropped, gateway `a` there ends.
pub(crate) struct Stranger {
    pub(crate) kt: PathBuf,
    pub(crate) home: PathBuf,
}

/// Who is nobody in particular.
pub(crate) const NOBODY: u32 = 65534;

// === impl Stranger ===

impl Stranger {
    /// `None`: this test runs as an ordinary user itself.
    pub(crate) fn in_dir(dir: &Path) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode")
        };
        open(dir);
        let programs = dir.join("bin");
        std::fs::create_dir(&programs).expect("a directory");
        open(&programs);
        for name in ["kt", "kt-gateway"] {
            std::fs::copy(fresh_binary(name), programs.join(name)).expect("a copy");
        }
        let home = dir.join("home");
        std::fs::create_dir(&home).expect("a home");
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).expect("chown");
        Some(Self { kt: programs.join("kt"), home })
    }

    /// The same programs at another place, as a new release would be.
    pub(crate) fn renewed(&self) -> Self {
        let old = self.kt.parent().expect("a directory");
        let new = old.with_file_name("new-bin");
        std::fs::create_dir(&new).expect("a directory");
        for name in ["kt", "kt-gateway"] {
            std::fs::hard_link(old.join(name), new.join(name)).expect("a link");
        }
        std::fs::set_permissions(&new, std::fs::metadata(old).expect("it").permissions()).expect("its mode");
        Self { kt: new.join("kt"), home: self.home.clone() }
    }

    pub(crate) fn run(&self, words: &str) -> std::process::Output {
        let mut command = Command::new(&self.kt);
        command.args(words.split_whitespace()).env_clear().current_dir(&self.home);
        command.env("HOME", &self.home).env("OPENAI_API_KEY", "x").env("PATH", "/usr/bin:/bin");
        command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
        command.output().expect("kt runs")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.run("gateway stop --name a --timeout 20s");
    }
}
