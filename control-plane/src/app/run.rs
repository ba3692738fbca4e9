//! The program's body: settings, log, runtime, signals, exit code.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use service_kit::drain;
use service_kit::failpoint;
use service_kit::telemetry;

use super::{ControlPlane, StartError};
use crate::args::{Args, Environment};
use crate::settings::Settings;

/// Enough for every connection that is taken.
const OPEN_FILES: u64 = 65_536;
/// What is under way gets this long in all, however long each part may take.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);

/// Runs until SIGTERM or SIGINT.
pub fn main(args: Args) -> ExitCode {
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(args: &Args) -> Result<(), StartError> {
    let _log = telemetry::init(&args.log, args.log_format.parse()?)?;
    // A build for users has none.
    let armed = failpoint::arm(std::env::var(failpoint::VARIABLE).ok().as_deref());
    armed.map_err(StartError::Failpoints)?;
    raise_open_files();
    let as_root = nix::unistd::geteuid().is_root();
    let settings = Settings::new(args, &Environment::of_process(), as_root)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
    let ended = runtime.block_on(serve(settings));
    // Not waited for: what is left after the drain is stuck.
    runtime.shutdown_background();
    ended
}

/// A connection is an open file, and the soft limit is often 1 024. Where it cannot be raised, fewer connections
/// are taken.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard.min(OPEN_FILES), hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of open files stays as it is");
    }
}

async fn serve(settings: Settings) -> Result<(), StartError> {
    let signal = drain::run_until_signal();
    tokio::pin!(signal);
    // A signal during the start ends the start: dropping it stops what was begun.
    let bound = tokio::select! {
        biased;
        signal = &mut signal => {
            tracing::info!(%signal, "stopped while starting");
            return Ok(());
        }
        bound = ControlPlane::bind(settings) => bound?,
    };
    let (trigger, watcher) = drain::channel();
    let serving = bound.serve(watcher);
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        signal = &mut signal => tracing::info!(%signal, "draining"),
    }
    trigger.start();
    tokio::select! {
        ended = &mut serving => ended,
        () = tokio::time::sleep(DRAIN_WITHIN) => {
            tracing::error!("the drain took too long; leaving");
            Ok(())
        }
    }
}
