//! `cargo xtask demo`: the product's main job on this machine, every claim it prints checked.
//!
//! Real programs all of them: `kt dev` with a control plane on its private PostgreSQL, three gateways and a
//! fake provider that speaks HTTP. `--once` ends after the last claim; without it everything stays up until ^C.

mod cast;
mod packs;
mod story;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut once = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--once" => once = true,
            other => {
                tell(&format!("error: unknown argument `{}`; the demo takes --once", other.escape_debug()));
                return ExitCode::from(2);
            }
        }
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("error: no async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(story::tell_it(once)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("\nerror: the demo stopped: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One line to whoever watches; a closed terminal is no reason to fail.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
