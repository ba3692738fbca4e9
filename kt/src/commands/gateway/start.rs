//! `kt gateway start`: returns when the gateway is ready, or with the reason it is not.

use std::time::Duration;

use instance::documents::{Source, Status};

use crate::cli::gateway::GatewayTimedArgs;
use crate::failure::{Exit, Failure};
use crate::instances::look::Phase;
use crate::instances::{self, Found};
use crate::printer::Printer;
use crate::programs;
use crate::supervisor::client::{self, Heard};
use crate::supervisor::protocol::{Answer, Ask, failure, limit_ms};
use crate::supervisor::told;
use crate::words::parse_duration;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &GatewayTimedArgs, printer: &Printer) -> Result<Exit, Failure> {
    let limit = limit(args, LIMIT)?;
    let found = instances::find(&args.gateway.name)?;
    if found.is_served() && !found.is_supervised() {
        return unsupervised(&found, printer).await;
    }
    found.installed()?;
    let ask = Ask::Start { limit_ms: limit_ms(limit) };
    if let Heard::Answer(answer) = client::ask_who_stays(&found.place, &ask, limit).await? {
        return started(&found, answer, printer);
    }
    // It may have lost its supervisor just now.
    if found.is_served() && !found.is_supervised() {
        return unsupervised(&found, printer).await;
    }
    let program = programs::find("kt-gateway")?;
    started(&found, client::start(&found.place, &program, limit).await?, printer)
}

/// `--timeout`, as typed.
pub(super) fn limit(args: &GatewayTimedArgs, default: Duration) -> Result<Duration, Failure> {
    let Some(text) = &args.timeout else { return Ok(default) };
    let limit = parse_duration(text)
        .map_err(|why| Failure::usage("--timeout", format!("`{text}` is no duration")).with_hint(why))?;
    if limit > Duration::from_secs(24 * 3600) {
        return Err(Failure::usage("--timeout", format!("`{text}` is longer than a day")));
    }
    Ok(limit)
}

/// Tells what became of a start.
pub(super) fn started(found: &Found, answer: Answer, printer: &Printer) -> Result<Exit, Failure> {
    let name = found.name();
    match answer {
        Answer::Serves { status, is_silent: true, .. } => Err(silent(&status)),
        Answer::Serves { status, already, leaving, warning, .. } => {
            if let Some(warning) = warning {
                printer.warn(&warning);
            }
            if let Some(pid) = leaving {
                printer.talk(&format!("the old process (pid {pid}) finishes its requests and ends"));
            }
            if status.source == Source::Local
                && let Err(why) = told(&status)
                && !already
            {
                return Err(idle(&status, &why));
            }
            for (target, why) in status.targets_down() {
                printer.warn(&format!("requests to `{target}` are answered 503 target_down: {why}"));
            }
            let how = if already { "is already running" } else { "runs" };
            show(&status, how, printer)
        }
        Answer::Refused { exit, code, message, hint, findings } => {
            Err(failure(exit, &code, message, hint, &findings))
        }
        Answer::Supervises(_) => {
            Err(Failure::unexpected(format!("the supervisor of `{name}` did not start it")))
        }
        Answer::Stopped { .. } => Err(Failure::unexpected(format!("the supervisor of `{name}` stopped it"))),
    }
}

/// `gateway a runs (pid 7) on 127.0.0.1:41002: serving 0.1.0`
fn show(status: &Status, how: &str, printer: &Printer) -> Result<Exit, Failure> {
    if printer.is_json() {
        printer.json(status)?;
        return Ok(Exit::Done);
    }
    let pid = status.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let on = status.listen.as_ref().map(|listen| format!(" on {listen}")).unwrap_or_default();
    let standing = told(status).unwrap_or_else(|why| why);
    printer.text(&format!("gateway {} {how}{pid}{on}: {standing}", status.name))?;
    Ok(Exit::Done)
}

/// Somebody runs it in a foreground, or it lost its supervisor.
async fn unsupervised(found: &Found, printer: &Printer) -> Result<Exit, Failure> {
    let looked = found.look().await?;
    let name = found.name();
    if looked.phase == Phase::Stopping {
        let message = format!("gateway `{name}` is stopping: it finishes its requests");
        return Err(Failure::new(Exit::Conflict, "stopping", message)
            .with_hint(format!("wait for its end with `kt gateway stop --name {name}`, then start it")));
    }
    let starts_again = if found.installed().is_ok() {
        format!("`kt gateway stop --name {name}` and then `start` changes that")
    } else {
        "it runs in a foreground and was never installed".to_owned()
    };
    printer.warn(&format!(
        "nobody supervises gateway `{name}`: it is not started again should it end; {starts_again}"
    ));
    show(&looked.status, "is already running", printer)
}

/// It runs, and nobody knows more.
fn silent(status: &Status) -> Failure {
    let name = &status.name;
    let pid = status.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    Failure::new(
        Exit::Unreachable,
        "timed_out",
        format!("gateway `{name}` is already running{pid} and does not answer"),
    )
    .with_hint(format!(
        "see `kt gateway logs --name {name}`; `kt gateway stop --name {name}` ends it, by force at last"
    ))
}

/// It runs, so that it can be told what to serve.
fn idle(status: &Status, why: &str) -> Failure {
    let name = &status.name;
    let findings = status.last_failure.iter().flat_map(|failure| failure.findings.iter().map(Into::into));
    Failure::new(Exit::Failed, "no_policy_loaded", format!("gateway `{name}` runs, but {why}"))
        .with_hint(format!("load a pack with `kt gateway reload --name {name} --config-path FILE`"))
        .with_findings(findings.collect())
}
