//! Who plays: `kt dev` with everything it starts, and `kt` as an operator types it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::tell;

/// How long `kt dev` may take to be up on a slow machine.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to be gone.
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// What `kt dev --json` says when everything is up.
#[derive(Debug, Deserialize)]
pub struct Stage {
    pub control_plane: String,
    pub token_file: PathBuf,
    pub provider: String,
    pub fleet: String,
    pub gateways: Vec<Gateway>,
}

#[derive(Debug, Deserialize)]
pub struct Gateway {
    pub name: String,
    pub url: String,
}

/// The running programs.
pub struct Cast {
    dev: Child,
    kt: PathBuf,
    home: PathBuf,
    pub stage: Stage,
}

/// What one `kt` command said.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

// === impl Cast ===

impl Cast {
    /// Starts `kt dev` on ports of the system's choice, its state below `directory`.
    pub async fn start(directory: &Path) -> anyhow::Result<Self> {
        let kt = std::env::current_exe()?.with_file_name("kt");
        anyhow::ensure!(kt.is_file(), "{} is missing; run `cargo xtask demo`, which builds it", kt.display());
        let mut dev = Command::new(&kt)
            .args(["dev", "--json", "--gateways", "3", "--fleet", "demo"])
            .args(["--listen", "127.0.0.1:0", "--gateway-port", "0", "--provider-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(directory.join("dev"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", kt.display()))?;
        let stdout = dev.stdout.take().context("kt dev has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line())
            .await
            .with_context(|| format!("kt dev was not up within {START_LIMIT:?}"))??
            .context("kt dev ended before everything was up; what it said is above")?;
        let stage = serde_json::from_str(&line).with_context(|| format!("kt dev said `{line}`"))?;
        Ok(Self { dev, kt, home: directory.join("home"), stage })
    }

    /// Runs `kt` with these words, and shows what was typed and what came.
    pub async fn kt(&self, words: &[&str]) -> anyhow::Result<Said> {
        let said = self.kt_for_its_data(words).await?;
        for line in said.stdout.lines().chain(said.stderr.lines()) {
            tell(&format!("  {line}"));
        }
        Ok(said)
    }

    /// As [`Self::kt`], for the JSON alone: only what was typed is shown.
    pub async fn kt_for_its_data(&self, words: &[&str]) -> anyhow::Result<Said> {
        tell(&format!("\n  $ kt {}", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")));
        let output = Command::new(&self.kt)
            .args(words)
            .env("KT_CONTROL_PLANE", &self.stage.control_plane)
            .env("KT_TOKEN_FILE", &self.stage.token_file)
            .env("HOME", &self.home)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .await
            .context("cannot run kt")?;
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Waits until `kt dev` ends by itself, which it does on ^C.
    pub async fn until_it_ends(mut self) -> anyhow::Result<()> {
        let status = self.dev.wait().await?;
        anyhow::ensure!(status.success(), "kt dev ended with {status}");
        Ok(())
    }

    /// Ends everything in order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.dev.id().context("kt dev is gone already")?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(id)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let status = tokio::time::timeout(STOP_LIMIT, self.dev.wait())
            .await
            .with_context(|| format!("kt dev did not end within {STOP_LIMIT:?}"))??;
        anyhow::ensure!(status.success(), "kt dev ended with {status}");
        Ok(())
    }
}

// === impl Said ===

impl Said {
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("kt said `{}` and `{}`", self.stdout, self.stderr))
    }
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() }
}
