//! `kt policy lint --file F`: the report is data, so it goes to stdout; stderr has the one-line verdict.

use crate::cli::local::LintArgs;
use crate::diagnostics::{Exhibit, Style, first_place, report, summary};
use crate::failure::{Exit, Failure};
use crate::input::NamedSource;
use crate::printer::Printer;
use crate::views::LintView;
use crate::words::{clean_line, counted};

pub(crate) fn run(args: &LintArgs, printer: &Printer) -> Result<Exit, Failure> {
    let source = NamedSource::read(&args.file, "--file")?;
    let document = source.document();
    let (config, found) = document.parse();
    let exit = if found.admissible() && config.is_some() { Exit::Done } else { Exit::Usage };
    if printer.is_json() {
        printer.json(&LintView::of(&source.name, config.as_ref(), &found))?;
        return Ok(exit);
    }
    let exhibit = Exhibit { name: &source.name, source: &source.bytes };
    let drawn = report(exhibit, &found.findings, Style { colour: printer.stdout_has_colour() });
    printer.text(&drawn)?;
    match config {
        Some(config) if exit == Exit::Done => {
            let warnings = found.warnings().count();
            let remark =
                if warnings > 0 { format!(", {}", counted(warnings, "warning")) } else { String::new() };
            printer.text(&format!(
                "{}: valid: {} {}, {}{remark}",
                clean_line(&source.name),
                config.pack.name,
                config.pack.version,
                policies(config.policies.len()),
            ))?;
            Ok(exit)
        }
        _ => Err(Failure::new(
            exit,
            "invalid_pack",
            format!(
                "{}: the pack is not valid: {}",
                first_place(&source.name, &found.findings),
                summary(&found.findings)
            ),
        )),
    }
}

fn policies(number: usize) -> String {
    if number == 1 { "1 policy".to_owned() } else { format!("{number} policies") }
}
