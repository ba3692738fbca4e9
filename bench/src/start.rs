//! `start`: how long `kt` takes from its start to its end, beside `true`, which does nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::figures::shown;
use crate::gateway::program;
use crate::say;

const RUNS: usize = 200;

pub(crate) fn run() -> anyhow::Result<()> {
    let kt = program("kt")?;
    let home = tempfile::tempdir()?;
    let pack = home.path().join("pack.yaml");
    std::fs::write(&pack, include_str!("../../examples/policy-config.yaml"))?;
    let lint = ["policy", "lint", "--file", "pack.yaml"];
    let list = ["gateway", "list", "--json"];
    let cases: [(&str, &Path, &[&str]); 4] = [
        ("true", Path::new("/bin/true"), &[]),
        ("kt --version", &kt, &["--version"]),
        ("kt policy lint", &kt, &lint),
        ("kt gateway list", &kt, &list),
    ];
    let mut took: Vec<Vec<Duration>> = vec![Vec::with_capacity(RUNS); cases.len()];
    // In turns, so that what else the machine does falls on all of them.
    for _ in 0..RUNS {
        for ((name, program, words), took) in cases.iter().zip(&mut took) {
            let mut command = Command::new(program);
            command.args(*words).current_dir(home.path()).env("KT_HOME", home.path().join("state"));
            let began = Instant::now();
            let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            took.push(began.elapsed());
            ensure!(ended.success(), "{name} failed");
        }
    }
    for ((name, ..), took) in cases.iter().zip(took) {
        say(&format!("{name:<16} {}", shown(took)));
    }
    Ok(())
}
