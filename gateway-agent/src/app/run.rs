//! The program's body: settings, log, runtime, signals, exit code.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use service_kit::clock::Clock;
use service_kit::drain;
use service_kit::failpoint;
use service_kit::telemetry::{self, Format};

use super::{AppError, bind};
use crate::args::Args;
use crate::settings::{Environment, Settings};

/// What a start may still take when it is told to stop.
const START_MAY_END_WITHIN: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or SIGINT.
pub fn main(args: Args) -> ExitCode {
    let environment = Environment::of_process();
    let filter = environment.text("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    let settings = match Settings::from_args(args, environment) {
        Ok(settings) => settings,
        Err(error) => return failed(&error, error.exit_code()),
    };
    if let Err(error) = telemetry::init(&filter, Format::Text) {
        return failed(&format!("RUST_LOG: {error}"), 2);
    }
    if let Err(error) = failpoint::arm(settings.environment.text(failpoint::VARIABLE).as_deref()) {
        return failed(&error, 2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no threads to serve with: {error}"), 1),
    };
    match runtime.block_on(serve(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, error.exit_code()),
    }
}

async fn serve(settings: Settings) -> Result<(), AppError> {
    let signal = drain::run_until_signal();
    let starting = bind(settings, Clock::system());
    tokio::pin!(signal, starting);
    // Heard from the first moment on: whoever sees the port may already send one.
    let bound = tokio::select! {
        biased;
        signal = &mut signal => {
            tracing::info!(%signal, "told to stop while starting");
            // A start is not cut off: what it has noted of the pack on trial, an end in order takes back.
            return match tokio::time::timeout(START_MAY_END_WITHIN, starting).await {
                Ok(Ok(bound)) => bound.serve(std::future::ready(())).await,
                Ok(Err(_)) | Err(_) => Ok(()),
            };
        }
        bound = &mut starting => bound?,
    };
    bound
        .serve(async {
            let signal = signal.await;
            tracing::info!(%signal, "told to stop");
        })
        .await
}

fn failed(error: &dyn Display, exit_code: u8) -> ExitCode {
    // A closed stderr is no reason for another exit code.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(exit_code)
}
