//! What is measured, by `cargo xtask bench NAME`: real programs as they are shipped, on loopback, yardstick and ours
//! in one run. Prints figures; judges none.

#![forbid(unsafe_code)]

mod client;
mod engine;
mod figures;
mod fixed;
mod gateway;
mod growth;
mod line;
mod load;
mod memory;
mod nginx;
mod start;
mod swap;
mod wire;

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;

const NAMES: &str = "engine, gateway [SECONDS], growth [RELOADS], memory [REQUESTS], reload [SECONDS], start";

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
        "gateway" => runtime.block_on(line::run(number.unwrap_or(3))),
        // Started by `gateway`, with its listening socket as stdin.
        "provider" => runtime.block_on(fixed::serve()),
        "growth" => runtime.block_on(growth::run(number.unwrap_or(10_000))),
        "memory" => runtime.block_on(memory::run(number.unwrap_or(1_000_000))),
        "reload" => runtime.block_on(load::run(number.unwrap_or(10))),
        "start" => runtime.block_on(start::run()),
        _ => bail!("name what is to be measured: {NAMES}"),
    }
}

/// A line of the report. Nobody left to read it is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
