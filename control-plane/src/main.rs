//! The program `kt-control-plane`: arguments → settings → serve → exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    control_plane::app::run::main(control_plane::args::Args::parse())
}
