//! `start`: how long `kt` takes from its start to its end, beside `true`, which does nothing; and a gateway from its
//! start to its first answer, from the pack on its disk.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::figures::shown;
use crate::fixed::Fixed;
use crate::gateway::{Gateway, Policies, program};
use crate::line::request;
use crate::say;
use crate::wire::Wire;

const RUNS: usize = 200;
const COLD_STARTS: usize = 20;

pub(crate) async fn run() -> anyhow::Result<()> {
    programs()?;
    gateway().await
}

/// A provider's answer is the first.
async fn gateway() -> anyhow::Result<()> {
    let provider = Fixed::start().await?;
    let mut gateway = Gateway::start_before(provider.address, Policies::All).await?;
    let request = request(false, 73);
    let mut took = Vec::new();
    for _ in 0..COLD_STARTS {
        gateway.start_again()?;
        let began = Instant::now();
        loop {
            let asked = async { Wire::connect(gateway.address).await?.ask(&request).await };
            match asked.await {
                Ok(()) => break,
                Err(error) => ensure!(began.elapsed() < Duration::from_secs(10), error),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(began.elapsed());
    }
    say(&format!("kt-gateway, first answer {}", shown(took)));
    Ok(())
}

fn programs() -> anyhow::Result<()> {
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
