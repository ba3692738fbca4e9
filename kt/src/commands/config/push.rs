//! `kt config push FILE`: lint here, then store and roll out in one call, then maybe wait.

use proto::v1;

use crate::cli::central::PushArgs;
use crate::client::{Client, ask};
use crate::commands::policy::pack;
use crate::commands::rollout::{order, show_rejections};
use crate::diagnostics::{Exhibit, Style, report};
use crate::failure::{Exit, Failure};
use crate::input::NamedSource;
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::views::PushView;
use crate::views::{finding, rollouts};
use crate::wait::Patience;
use crate::words::short_digest;

pub(crate) async fn run(args: &PushArgs, printer: &Printer) -> Result<Exit, Failure> {
    let source = NamedSource::read(&args.file, "FILE")?;
    check(&source, printer)?;
    let request = request(args, &source)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let pushed = client
        .answer_once(|client| {
            let request = ask(request.clone());
            async move { client.configs().push_config(request).await }
        })
        .await
        .map_err(|failure| drawn(failure, &source, printer))?;
    show_pushed(&pushed, &source, printer)?;
    let Some(rollout) = pushed.rollout.clone().filter(|_| args.wait.wait) else {
        if printer.is_json() {
            printer.json(&PushView::of(&pushed, None, false))?;
        } else if let Some(rollout) = &pushed.rollout {
            printer.talk(&format!("follow it with `kt rollout wait {}`", rollout.id));
        }
        return Ok(Exit::Done);
    };
    let waited = match Patience::of(&args.wait.goal).wait(&client, rollout, printer).await {
        Ok(waited) => waited,
        Err(failure) => {
            // It is stored and rolls out, whatever became of the wait.
            if printer.is_json() {
                printer.json(&PushView::of(&pushed, None, false))?;
            }
            return Err(failure);
        }
    };
    if printer.is_json() {
        printer.json(&PushView::of(&pushed, Some(&waited.rollout), true))?;
    } else {
        printer.text(&crate::commands::rollout::summary_line(&waited.rollout))?;
        show_rejections(&waited.rollout, Some(&source), printer);
    }
    waited.outcome()
}

/// Lints here first: nothing is sent when the file cannot be stored.
fn check(source: &NamedSource, printer: &Printer) -> Result<(), Failure> {
    let (config, found) = source.document().parse();
    if config.is_some() && found.admissible() {
        return Ok(());
    }
    let failure = pack::refused(source, "FILE", found.findings, printer);
    Err(failure.with_hint("nothing was sent; see the findings"))
}

fn request(args: &PushArgs, source: &NamedSource) -> Result<v1::PushConfigRequest, Failure> {
    let rollout = match &args.fleet {
        Some(fleet) => Some(order(fleet, &args.rollout)?),
        None => None,
    };
    Ok(v1::PushConfigRequest {
        source: source.bytes.clone().into(),
        note: args.note.clone(),
        idempotency_key: args.idempotency_key.clone().unwrap_or_else(crate::commands::rollout::fresh_key),
        expect_revision: args.expect_revision,
        allow_same_version: args.allow_same_version,
        accept_risk: args.accept_risk,
        rollout,
    })
}

fn show_pushed(
    pushed: &v1::PushConfigResponse,
    source: &NamedSource,
    printer: &Printer,
) -> Result<(), Failure> {
    if printer.is_json() {
        return Ok(());
    }
    let warnings: Vec<_> = pushed.warnings.iter().map(finding).collect();
    if !warnings.is_empty() {
        let exhibit = Exhibit { name: &source.name, source: &source.bytes };
        printer.talk(&report(exhibit, &warnings, Style { colour: printer.stderr_has_colour() }));
    }
    let stored = if pushed.created { "stored" } else { "already stored, unchanged" };
    printer.text(&format!(
        "{}@{} ({}, {}) {stored}",
        pushed.config,
        pushed.revision,
        pushed.version,
        short_digest(&pushed.digest)
    ))?;
    match &pushed.rollout {
        Some(rollout) => printer.text(&format!(
            "rollout {} to {}: {}",
            rollout.id,
            rollout.fleet,
            rollouts::state(rollout.state())
        )),
        None => Ok(()),
    }
}

/// The failure with its findings drawn against the file that was pushed.
fn drawn(failure: Failure, source: &NamedSource, printer: &Printer) -> Failure {
    if failure.findings().is_empty() {
        return failure;
    }
    let exhibit = Exhibit { name: &source.name, source: &source.bytes };
    let text = report(exhibit, failure.findings(), Style { colour: printer.stderr_has_colour() });
    failure.with_report(text)
}
