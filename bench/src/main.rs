//! What is measured, by `cargo xtask bench NAME`: real programs of the release profile on loopback, yardstick and ours
//! in one run. Prints figures; judges none.

#![forbid(unsafe_code)]

mod client;
mod engine;
mod figures;
mod gateway;
mod growth;
mod load;
mod start;

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;

const NAMES: &str = "engine, growth [RELOADS], reload [SECONDS], start";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let number = words.next().map(|word| word.parse::<u64>()).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match name.as_str() {
        "engine" => engine::run(),
        "growth" => runtime.block_on(growth::run(number.unwrap_or(10_000))),
        "reload" => runtime.block_on(load::run(number.unwrap_or(10))),
        "start" => start::run(),
        _ => bail!("name what is to be measured: {NAMES}"),
    }
}

/// A line of the report. Nobody left to read it is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
