//! The program's body: settings, log, runtime, signals, exit code.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use service_kit::clock::Clock;
use service_kit::drain::{self, Signal};
use service_kit::failpoint;
use service_kit::telemetry::{self, Format};

use super::{AppError, Launch, bind, inherited_listener};
use crate::args::Args;
use crate::settings::{Environment, Settings};

/// What a start may still take when it is told to stop.
const START_MAY_END_WITHIN: Duration = Duration::from_secs(10);

/// What is still being written when everything else has ended.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// The Activator, the control link, the door and the metrics port share these, so that none of them waits for a pack
/// that is being compiled.
const STEERING_THREADS: usize = 2;

/// A connection is an open file, and so is the call that is made for it; the soft limit is often 1024.
const OPEN_FILES: u64 = 262_144;

/// Runs until SIGTERM, or SIGINT where nobody supervises it.
pub fn main(args: Args) -> ExitCode {
    let environment = Environment::of_process();
    let filter = environment.text("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    let Args { check, supervised, take_over, .. } = args;
    let settings = match Settings::from_args(args, environment) {
        Ok(settings) => settings,
        Err(error) => return failed(&error, error.exit_code()),
    };
    let log = match telemetry::init(&filter, Format::Text) {
        Ok(log) => log,
        Err(error) => return failed(&format!("RUST_LOG: {error}"), 2),
    };
    if let Err(error) = failpoint::arm(settings.environment.text(failpoint::VARIABLE).as_deref()) {
        return failed(&error, 2);
    }
    if check {
        let outcome = super::check(&settings);
        drop(log);
        return ended(outcome);
    }
    raise_open_files();
    // What steers; requests are served by threads of their own.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(STEERING_THREADS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no threads to serve with: {error}"), 1),
    };
    let listener = match supervised.then(inherited_listener).transpose() {
        Ok(listener) => listener,
        Err(error) => return failed(&error, error.exit_code()),
    };
    let outcome = runtime.block_on(serve(settings, Launch { supervised, take_over, listener }));
    // What waits for another program (a lock, a disk) does not keep this one.
    runtime.shutdown_timeout(LAST_WORDS_WITHIN);
    drop(log);
    ended(outcome)
}

/// Where it cannot be raised, fewer connections are accepted at once.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard.min(OPEN_FILES), hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of open files stays as it is");
    }
}

async fn serve(settings: Settings, launch: Launch) -> Result<(), AppError> {
    let supervised = launch.supervised;
    let signal = until_told(supervised);
    let starting = bind(settings, launch, Clock::system());
    tokio::pin!(signal, starting);
    let hurry = async {
        until_told(supervised).await;
    };
    // Heard from the first moment on: whoever sees the port may already send one.
    let bound = tokio::select! {
        biased;
        signal = &mut signal => {
            tracing::info!(%signal, "told to stop while starting");
            // A start is not cut off: what it has noted of the pack on trial, an end in order takes back.
            return match tokio::time::timeout(START_MAY_END_WITHIN, starting).await {
                Ok(Ok(bound)) => bound.serve(std::future::ready(Some(signal)), hurry).await,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "stopped; the start would have failed");
                    Ok(())
                }
                Err(_) => {
                    let waited = START_MAY_END_WITHIN.as_secs();
                    tracing::warn!(waited, "stopped in the middle of the start, which did not end in time");
                    Ok(())
                }
            };
        }
        bound = &mut starting => bound?,
    };
    bound.serve(async { Some(signal.await) }, hurry).await
}

/// A terminal's SIGINT goes to all of its programs, and is not for one that is supervised.
async fn until_told(supervised: bool) -> Signal {
    match supervised {
        true => drain::run_until_terminated().await,
        false => drain::run_until_signal().await,
    }
}

fn ended(outcome: Result<(), AppError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, error.exit_code()),
    }
}

fn failed(error: &dyn Display, exit_code: u8) -> ExitCode {
    // A closed stderr is no reason for another exit code.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(exit_code)
}
