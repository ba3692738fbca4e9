//! `kt-gateway`: args → settings → telemetry → serve → exit code.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gateway_agent::app::{self, AppError};
use gateway_agent::args::Args;
use gateway_agent::settings::{Environment, Settings};
use service_kit::clock::Clock;
use service_kit::drain;
use service_kit::telemetry::{self, Format};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let filter = environment.text("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    let settings = match Settings::from_args(Args::parse(), environment) {
        Ok(settings) => settings,
        Err(error) => return failed(&error, error.exit_code()),
    };
    if let Err(error) = telemetry::init(&filter, Format::Text) {
        return failed(&format!("RUST_LOG: {error}"), 2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no threads to serve with: {error}"), 1),
    };
    match runtime.block_on(run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, error.exit_code()),
    }
}

async fn run(settings: Settings) -> Result<(), AppError> {
    let bound = app::bind(settings, Clock::system()).await?;
    bound
        .serve(async {
            let signal = drain::run_until_signal().await;
            tracing::info!(%signal, "told to stop");
        })
        .await
}

fn failed(error: &dyn Display, exit_code: u8) -> ExitCode {
    // A closed stderr is no reason for another exit code.
    let _ = writeln!(std::io::stderr(), "kt-gateway: {error}");
    ExitCode::from(exit_code)
}
