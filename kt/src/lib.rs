//! `kt`: the command a platform team types.
//!
//! What was typed ([`cli`]) becomes what it means ([`settings`]); one file per command ([`commands`]) reads,
//! asks the control plane ([`client`]) or a gateway of this host ([`instances`]) and hands wire messages to pure [`views`] and [`diagnostics`]; the
//! [`printer`] alone writes; [`failure`] holds the one table of exit codes. `kt` links no other program: it
//! runs them ([`programs`]), gateways in the background under a [`supervisor`].

#![forbid(unsafe_code)]

mod cli;
mod client;
mod commands;
mod diagnostics;
mod failure;
mod input;
mod instances;
mod printer;
mod programs;
mod settings;
mod supervisor;
mod systemd;
mod tables;
mod templates;
mod views;
mod wait;
mod words;

use std::ffi::OsString;
use std::panic::{self, UnwindSafe};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Reads the command line, runs it, and answers with the exit code of the one table.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let json = words.iter().any(|word| word == "--json");
    panic::set_hook(Box::new(move |defect| {
        fail(&Printer::new(json), &Failure::of_defect(defect.location()));
    }));
    ExitCode::from(guarded(|| run(&words, json)).code())
}

fn run(words: &[OsString], json: bool) -> Exit {
    match Cli::try_parse_from(words) {
        Ok(cli) => {
            let printer = Printer::new(cli.json);
            commands::run(cli.command, &printer).unwrap_or_else(|failure| fail(&printer, &failure))
        }
        Err(problem) => unparsed(&Printer::new(json), &problem),
    }
}

/// A defect of kt's own ends it as a failure does; the hook has told of it.
fn guarded(work: impl FnOnce() -> Exit + UnwindSafe) -> Exit {
    panic::catch_unwind(work).unwrap_or(Exit::Failed)
}

fn unparsed(printer: &Printer, problem: &clap::Error) -> Exit {
    if !problem.use_stderr() {
        // `--help` and `--version` were asked for, so they are data.
        return match printer.styled_text(&problem.render()) {
            Ok(()) => Exit::Done,
            Err(failure) => fail(printer, &failure),
        };
    }
    if printer.is_json() {
        return fail(printer, &Failure::of_command_line(problem));
    }
    printer.styled_talk(&problem.render());
    Exit::Usage
}

fn fail(printer: &Printer, failure: &Failure) -> Exit {
    printer.failure(failure);
    failure.exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_ends_as_a_failure_and_nothing_of_its_text_is_told() {
        assert_eq!(guarded(|| panic!("kt_secret")), Exit::Failed);
        let failure = Failure::of_defect(Some(panic::Location::caller()));
        assert_eq!(failure.exit(), Exit::Failed);
        assert!(failure.message().contains("lib.rs:"), "{}", failure.message());
    }
}
