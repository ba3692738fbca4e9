//! `kt completions SHELL`

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::local::CompletionsArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

pub(crate) fn run(args: &CompletionsArgs, printer: &Printer) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kt", &mut script);
    printer.raw(&script)?;
    Ok(Exit::Done)
}
