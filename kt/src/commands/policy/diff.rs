//! `kt policy diff A B`: what a gateway would do differently, and what of it asks for a second look.

use policy_config::Finding;
use policy_config::diff::diff;
use policy_config::lint::{lint_change, lint_growth};

use super::pack::Pack;
use crate::cli::local::DiffArgs;
use crate::diagnostics::{Exhibit, Style, report};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::tables;
use crate::views::configs::PackFileView;
use crate::views::{FileDiffView, FindingView, SectionView};

pub(crate) fn run(args: &DiffArgs, printer: &Printer) -> Result<Exit, Failure> {
    if args.from.as_os_str() == "-" && args.to.as_os_str() == "-" {
        return Err(Failure::usage("B", "standard input is one file, and A is that already"));
    }
    let from = Pack::read(&args.from, "A", printer)?;
    let to = Pack::read(&args.to, "B", printer)?;
    let sections: Vec<SectionView> =
        diff(&from.config, &to.config).sections.iter().map(SectionView::of).collect();
    let risks = risks(&from, &to);
    let tests_differ = from.suites != to.suites;
    if printer.is_json() {
        let view = FileDiffView {
            from: file(&from),
            to: file(&to),
            sections,
            tests_differ,
            risks: risks.iter().map(FindingView::of).collect(),
        };
        printer.json(&view)?;
        return Ok(Exit::Done);
    }
    if sections.is_empty() {
        let remark = if tests_differ { "; the tests in the pack differ" } else { "" };
        printer.text(&format!("no effective change{remark}"))?;
    } else {
        printer.text(&tables::diff(&sections))?;
    }
    if !risks.is_empty() {
        let exhibit = Exhibit { name: &to.source.name, source: &to.source.bytes };
        let drawn = report(exhibit, &risks, Style { colour: printer.stdout_has_colour() });
        printer.text(&format!("\n{drawn}"))?;
    }
    Ok(Exit::Done)
}

fn risks(from: &Pack, to: &Pack) -> Vec<Finding> {
    let mut findings = lint_change(&from.config, &to.config).findings;
    findings.extend(lint_growth(from.source.bytes.len(), to.source.bytes.len()).findings);
    to.document.locate(&mut findings);
    findings
}

fn file(pack: &Pack) -> PackFileView {
    PackFileView {
        file: pack.source.name.clone(),
        pack: pack.config.pack.name.to_string(),
        version: pack.config.pack.version.to_string(),
        digest: pack.document.digest().to_string(),
    }
}
