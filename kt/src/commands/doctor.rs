//! `kt doctor`: what is in force and where it comes from, then what works and what does not.
//!
//! What is optional and absent is no problem, unless somebody named it. No check takes longer than [`PATIENCE`],
//! whatever hangs; none shows a secret.

mod control_plane;
mod database;
mod gateways;
mod programs;
mod setting;
mod state;

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cli::local::DoctorArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::tables::facts;
use crate::words::{clean_line, counted, wrapped};
use setting::{Settings, Source};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// It works, or is not needed, and deserves a look.
    Warning,
    /// Something that is needed, or was named, does not work.
    Problem,
    /// It is not there and nobody asked for it.
    Skipped,
}

/// `{check, status, message, hint?}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    check: &'static str,
    status: Status,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// What `kt doctor --json` prints.
#[derive(Debug, Serialize)]
struct DoctorView {
    ok: bool,
    settings: Vec<setting::View>,
    checks: Vec<Check>,
}

// === impl Check ===

impl Check {
    fn new(check: &'static str, status: Status, message: impl Into<String>) -> Self {
        Self { check, status, message: message.into(), hint: None }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

pub(crate) fn run(args: &DoctorArgs, printer: &Printer) -> Result<Exit, Failure> {
    let settings = Settings::resolve(args.control_plane.as_deref());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected(format!("cannot start: {error}")))?;
    let checks = runtime.block_on(checks(&settings));
    // A name server that does not answer would hold up the end of a runtime that waits for its threads.
    runtime.shutdown_background();
    let problems = checks.iter().filter(|check| check.status == Status::Problem).count();
    if printer.is_json() {
        printer.json(&DoctorView { ok: problems == 0, settings: settings.views(), checks })?;
        return Ok(if problems == 0 { Exit::Done } else { Exit::Failed });
    }
    printer.text(&show_settings(&settings))?;
    printer.text("\n")?;
    for check in &checks {
        printer.text(&show_check(check, printer.stdout_has_colour()))?;
    }
    match problems {
        0 => Ok(Exit::Done),
        problems => {
            Err(Failure::new(Exit::Failed, "problems", format!("{} found", counted(problems, "problem"))))
        }
    }
}

/// All at once, told in a fixed order.
async fn checks(settings: &Settings) -> Vec<Check> {
    let home = settings.home.value.clone();
    let named = settings.home.source != Source::Default;
    let gateways_home = home.clone();
    let token_file = settings.token_file.clone();
    let pending: Vec<BoxFuture<'_, Check>> = vec![
        in_time("kt-gateway", programs::ours("kt-gateway")).boxed(),
        in_time("kt-control-plane", programs::ours("kt-control-plane")).boxed(),
        in_time("state_dir", aside("state_dir", move || state::directory(&home, named))).boxed(),
        in_time("token_file", aside("token_file", move || state::token_file(&token_file))).boxed(),
        in_time("control_plane", control_plane::check(settings)).boxed(),
        in_time("postgres", programs::postgres(settings)).boxed(),
        in_time("database", database::check(settings)).boxed(),
        in_time("gateways", aside("gateways", move || gateways::check(&gateways_home))).boxed(),
    ];
    join_all(pending).await
}

async fn in_time(check: &'static str, work: impl Future<Output = Check>) -> Check {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} seconds", PATIENCE.as_secs());
        Check::new(check, Status::Problem, message)
            .with_hint("a file system, a program or a name server does not answer")
    })
}

/// Work that may hang in the kernel: on a thread that nobody waits for in the end.
async fn aside(check: &'static str, work: impl FnOnce() -> Check + Send + 'static) -> Check {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || tell.send(work()));
    told.await.unwrap_or_else(|_| Check::new(check, Status::Problem, "the check itself failed"))
}

fn show_settings(settings: &Settings) -> String {
    let views = settings.views();
    let lines: Vec<(&str, String)> = views
        .iter()
        .map(|view| {
            let value = view.value.as_deref().unwrap_or("not set");
            (view.name, format!("{value} ({})", view.source.as_str()))
        })
        .collect();
    facts(&lines)
}

/// `ok       kt-gateway: …`, what follows in the same column.
fn show_check(check: &Check, colour: bool) -> String {
    const INDENT: usize = 9;
    let (word, paint) = match check.status {
        Status::Ok => ("ok", "32"),
        Status::Warning => ("warning", "33"),
        Status::Problem => ("problem", "1;31"),
        Status::Skipped => ("skipped", "2"),
    };
    let body = wrapped(&format!("{}: {}", check.check, clean_line(&check.message)), INDENT);
    let word = format!("{word:INDENT$}");
    let word = if colour { format!("\x1b[{paint}m{word}\x1b[0m") } else { word };
    let mut text = format!("{word}{}", body.trim_start());
    if let Some(hint) = &check.hint {
        text.push('\n');
        text.push_str(&wrapped(&format!("hint: {hint}"), INDENT));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_a_problem_and_holds_nothing_up() {
        let check = in_time("x", std::future::pending()).await;
        assert_eq!((check.status, check.message.as_str()), (Status::Problem, "no answer within 2 seconds"));
    }

    #[test]
    fn lines_keep_to_eighty_columns() {
        let check = Check::new("state_dir", Status::Problem, "word ".repeat(40)).with_hint("try ".repeat(40));
        let text = show_check(&check, false);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.starts_with("problem  state_dir: word"), "{text}");
    }
}
