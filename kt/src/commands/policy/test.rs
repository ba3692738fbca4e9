//! `kt policy test`: the cases of a pack through the engine that a gateway runs, with no key and no provider.

mod golden;

use std::path::{Path, PathBuf};

use policy_config::Finding;
use policy_config::lint::rules::BAD_VALUE;
use policy_config::schema::TestCase;
use policy_engine::{Engine, Secrets};

use super::pack::{self, Pack};
use crate::cli::local::TestArgs;
use crate::failure::{Exit, Failure};
use crate::input::NamedSource;
use crate::printer::Printer;
use crate::views::{CaseView, TestView};
use crate::words::{clean_line, counted, wrapped};

/// The pack below `--pack-dir`.
const PACK: &str = "policy-config.yaml";
const FIELD: &str = "--pack-dir";

/// Cases that stand together: a suite of the pack, or a golden file.
struct Group {
    source: NamedSource,
    suite: Option<String>,
    cases: Vec<TestCase>,
}

pub(crate) fn run(args: &TestArgs, printer: &Printer) -> Result<Exit, Failure> {
    check_directory(&args.pack_dir)?;
    let pack = Pack::read(&below(&args.pack_dir, PACK), FIELD, printer)?;
    let engine = compile(&pack, printer)?;
    let groups = groups(&args.pack_dir, &pack, printer)?;
    if groups.iter().all(|group| group.cases.is_empty()) {
        return Err(no_tests(&args.pack_dir));
    }
    let mut results = Vec::new();
    for group in &groups {
        for case in &group.cases {
            results.push(run_case(&engine, group, case, printer)?);
        }
    }
    show(&TestView::of(results), printer)
}

fn check_directory(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Failure::usage(FIELD, format!("`{shown}` is no directory"))
            .with_hint(format!("name the directory that holds {PACK}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(Exit::NotFound, "file_not_found", format!("`{shown}` does not exist"))
                .with_field(FIELD)
                .with_hint("`kt policy init --dir DIR` makes a directory with a pack and its tests"))
        }
        Err(error) => Err(Failure::usage(FIELD, format!("`{shown}` cannot be read: {error}"))),
    }
}

/// The stages of a gateway up to its own test. Keys are not needed: no provider is called.
fn compile(pack: &Pack, printer: &Printer) -> Result<Engine, Failure> {
    let engine = Engine::compile(&pack.config, Secrets::new()).map_err(|error| {
        let mut findings = error.findings;
        pack.document.locate(&mut findings);
        pack::refused(&pack.source, FIELD, findings, printer)
    })?;
    engine.self_test().map_err(|error| {
        let message = format!("{}: a gateway would refuse the pack: {error}", pack.source.name);
        Failure::new(Exit::Usage, "invalid_pack", message).with_field(FIELD)
    })?;
    Ok(engine)
}

fn groups(dir: &Path, pack: &Pack, printer: &Printer) -> Result<Vec<Group>, Failure> {
    let suites = pack.suites.iter().map(|suite| Group {
        source: pack.source.clone(),
        suite: Some(suite.name.clone()),
        cases: suite.cases.clone(),
    });
    let golden = golden::read(&below(dir, "tests"), printer)?;
    let golden = golden.into_iter().map(|(source, cases)| Group { source, suite: None, cases });
    Ok(suites.chain(golden).collect())
}

fn run_case(engine: &Engine, group: &Group, case: &TestCase, printer: &Printer) -> Result<CaseView, Failure> {
    let outcome = engine.run_case(case).map_err(|error| {
        let finding = Finding {
            code: BAD_VALUE.code.to_owned(),
            severity: BAD_VALUE.severity,
            path: "input.messages".to_owned(),
            location: case.at,
            message: format!("a gateway would refuse this request: {error}"),
            suggestion: String::new(),
        };
        golden::refused(&[(group.source.clone(), vec![finding])], printer)
    })?;
    Ok(CaseView {
        name: case.name.clone(),
        verdict: outcome.verdict.as_str(),
        reason_code: outcome.reason_code,
        passed: outcome.passed,
        details: outcome.details,
        file: group.source.name.clone(),
        suite: group.suite.clone(),
    })
}

fn show(view: &TestView, printer: &Printer) -> Result<Exit, Failure> {
    let exit = if view.ok { Exit::Done } else { Exit::Failed };
    if printer.is_json() {
        printer.json(view)?;
        return Ok(exit);
    }
    for result in &view.results {
        printer.text(&line(result, printer.stdout_has_colour()))?;
    }
    let all = counted(view.results.len(), "case");
    if view.ok {
        printer.text(&format!("{all} passed"))?;
        return Ok(exit);
    }
    Err(Failure::new(exit, "tests_failed", format!("{} of {all} failed", view.failed())))
}

/// `ok    tests/pii.json: an email address`; below a failure, why.
fn line(result: &CaseView, colour: bool) -> String {
    let (word, paint) = if result.passed { ("ok", "32") } else { ("FAIL", "1;31") };
    let word = format!("{word:4}");
    let word = if colour { format!("\x1b[{paint}m{word}\x1b[0m") } else { word };
    let suite = result.suite.as_ref().map(|suite| format!("{} / ", clean_line(suite))).unwrap_or_default();
    let text = format!("{word}  {}: {suite}{}", clean_line(&result.file), clean_line(&result.name));
    if result.passed { text } else { format!("{text}\n{}", wrapped(&result.details, 6)) }
}

fn no_tests(dir: &Path) -> Failure {
    let message = format!(
        "there are no tests: no `{}` and no case under `testing` in the pack",
        below(dir, "tests/*.json").display()
    );
    Failure::new(Exit::NotFound, "no_tests", message)
        .with_field(FIELD)
        .with_hint("`kt policy init` writes a pack with tests to begin with")
}

/// As a person would type it.
fn below(dir: &Path, name: &str) -> PathBuf {
    if dir == Path::new(".") { PathBuf::from(name) } else { dir.join(name) }
}
