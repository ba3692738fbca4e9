//! The golden files beside a pack: which there are, and what is wrong with them.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use policy_config::Finding;
use policy_config::document::MAX_SOURCE_BYTES;
use policy_config::schema::TestCase;
use policy_engine::read_golden;

use super::FIELD;
use crate::commands::policy::pack::drawn;
use crate::diagnostics::{first_place, summary};
use crate::failure::{Exit, Failure};
use crate::input::{NamedSource, open_regular};
use crate::printer::Printer;

/// Every `*.json` in `dir` with its cases, by name; none when there is no such directory.
///
/// # Errors
/// One of them cannot be read, or is not what a golden file must be: all of those are told.
pub(super) fn read(dir: &Path, printer: &Printer) -> Result<Vec<(NamedSource, Vec<TestCase>)>, Failure> {
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for path in paths(dir)? {
        let source = read_file(&path)?;
        match read_golden(&source.bytes) {
            (Some(cases), _) => good.push((source, cases)),
            (None, report) => bad.push((source, report.findings)),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(refused(&bad, printer)) }
}

/// Golden files that are not valid: the findings of all, each with its file.
pub(super) fn refused(bad: &[(NamedSource, Vec<Finding>)], printer: &Printer) -> Failure {
    let all: Vec<Finding> = bad
        .iter()
        .flat_map(|(source, findings)| findings.iter().map(|finding| in_file(&source.name, finding)))
        .collect();
    let place = bad.first().map(|(source, findings)| first_place(&source.name, findings));
    let message = format!("{}: the test file is not valid: {}", place.unwrap_or_default(), summary(&all));
    let drawn: Vec<String> =
        bad.iter().map(|(source, findings)| drawn(&source.name, &source.bytes, findings, printer)).collect();
    let field = bad.first().map_or(FIELD, |(source, _)| source.name.as_str());
    Failure::new(Exit::Usage, "invalid_tests", message)
        .with_field(field)
        .with_findings(all)
        .with_report(drawn.join("\n\n"))
}

fn in_file(file: &str, finding: &Finding) -> Finding {
    let path = match finding.path.as_str() {
        "" => file.to_owned(),
        path => format!("{file}: {path}"),
    };
    Finding { path, ..finding.clone() }
}

fn paths(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error: io::Error| unreadable(dir, format!("cannot be read: {error}"));
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(unreadable(dir, "is no directory"));
        }
        Err(error) => return Err(cannot(error)),
    };
    let names: Result<Vec<OsString>, _> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = names.map_err(cannot)?;
    // as the shell's `*.json`
    names.retain(|name| name.as_encoded_bytes().ends_with(b".json"));
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort();
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

fn read_file(path: &Path) -> Result<NamedSource, Failure> {
    let file = open_regular(path).map_err(|error| unreadable(path, error.to_string()))?;
    let bytes = file
        .read_up_to(MAX_SOURCE_BYTES + 1)
        .map_err(|error| unreadable(path, format!("cannot be read: {error}")))?;
    Ok(NamedSource { name: path.display().to_string(), bytes, size: 0 })
}

fn unreadable(path: &Path, why: impl AsRef<str>) -> Failure {
    let shown = path.display();
    Failure::new(Exit::Usage, "invalid_tests", format!("`{shown}` {}", why.as_ref()))
        .with_field(FIELD)
        .with_hint("tests/ holds golden files, each a regular JSON file")
}
