//! `kt dev`
use crate::cli::local::DevArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
pub(crate) fn run(_args: &DevArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
