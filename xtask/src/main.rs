//! Names for the commands of this repository: `cargo xtask demo [--once]`, `test [--sdks]`, `bench NAME`, `sqlx [--check]`,
//! `dist`.
//!
//! It uses the standard library only, so that it builds in a second on a fresh machine, and each command sets
//! up what it needs. A set-up step that must not be taken unasked is printed instead.

#![forbid(unsafe_code)]

mod cargo;
mod dist;
mod packages;
mod postgres;
mod refresh;
mod run;
mod sdks;

use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND
  demo [--once]    build, then push packs to a live fleet; stays up, or with --once checks its claims and ends
  test             build, then run every suite there is but the next
  test --sdks      install the official SDKs below target/, then try them on a real gateway
  bench NAME       build the programs as they are shipped, then measure: engine, gateway, growth, memory, reload, start
  sqlx [--check]   refresh `.sqlx/` from the migrations and the queries, or fail when it is out of date
  dist             build the release archive: programs, completions, systemd units, examples";

/// One sentence for the terminal; whatever failed has said the rest itself.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["demo", arguments @ ..] => run::demo(arguments),
        ["test"] => run::test(),
        ["test", "--sdks"] => sdks::test(),
        ["bench", arguments @ ..] => run::bench(arguments),
        ["sqlx"] => refresh::with_database(false),
        ["sqlx", "--check"] => refresh::with_database(true),
        ["dist"] => dist::build(),
        [refresh::INSIDE, mode] => refresh::inside(*mode == refresh::CHECK),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&format!("xtask: {problem}"));
            ExitCode::FAILURE
        }
    }
}

/// To stderr: stdout belongs to what is run.
fn say(text: &str) {
    // With stderr closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
