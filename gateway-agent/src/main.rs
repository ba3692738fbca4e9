//! The program `kt-gateway`: arguments → settings → serve → exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    gateway_agent::app::run::main(gateway_agent::args::Args::parse())
}
