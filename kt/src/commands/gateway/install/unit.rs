//! `kt gateway install --print-systemd-unit`: prints, and makes nothing. What the unit runs is what is installed.

use std::path::Path;

use serde::Serialize;

use crate::cli::gateway::GatewayInstallArgs;
use crate::commands::gateway::run::words;
use crate::failure::{Exit, Failure};
use crate::instances;
use crate::printer::Printer;
use crate::settings::state_dir;
use crate::systemd::{Unit, unit};
use crate::words::shell_word;

/// `{name, unit, installed, install}`: the command that installs it as it was typed, `null` where nothing is missing.
#[derive(Debug, Serialize)]
struct UnitView<'a> {
    name: &'a str,
    unit: &'a str,
    installed: bool,
    install: Option<String>,
}

/// Of a gateway that is installed already, or will be.
pub(super) fn print(args: &GatewayInstallArgs, printer: &Printer) -> Result<Exit, Failure> {
    let run = &args.run;
    let program = std::env::current_exe()
        .map_err(|error| Failure::unexpected(format!("kt does not find itself: {error}")))?;
    let absolute = |flag: &str, path: Option<&Path>| {
        path.map(std::path::absolute).transpose().map_err(|error| {
            Failure::usage(flag, format!("the path of {flag} cannot be made absolute: {error}"))
        })
    };
    let env_file = absolute("--env-file", run.env_file.as_deref())?;
    let found = instances::find(&run.name).ok();
    let installed = found.as_ref().and_then(|found| found.installed().ok());
    let kept_log = installed.and_then(|description| description.decision_log.clone());
    let decision_log = absolute("--decision-log", run.decision_log.as_deref())?.or(kept_log);
    let text = unit(&Unit {
        name: &run.name,
        program: &program,
        user: &instance::place::user_name(nix::unistd::geteuid().as_raw()),
        state_dir: &state_dir(),
        env_file: env_file.as_deref(),
        decision_log: decision_log.as_deref(),
    });
    let installed = installed.is_some();
    let install = if installed { None } else { Some(command(args)?) };
    if printer.is_json() {
        printer.json(&UnitView { name: &run.name, unit: &text, installed, install })?;
        return Ok(Exit::Done);
    }
    let name = &run.name;
    match install {
        Some(install) => printer.warn(&format!(
            "the unit runs gateway `{name}` as it is installed, and it is not installed: before the unit is started, run `{install}`"
        )),
        None if has_flags(args)? => printer.warn(&format!(
            "the unit runs gateway `{name}` as it was installed; the other flags typed here are not in it"
        )),
        None => {}
    }
    printer.text(&text)?;
    Ok(Exit::Done)
}

/// What would install it, with the flags that were typed.
fn command(args: &GatewayInstallArgs) -> Result<String, Failure> {
    let mut text = "kt gateway install".to_owned();
    for word in words(&args.run)? {
        text.push(' ');
        text.push_str(&shell_word(&word.to_string_lossy()));
    }
    if args.run.policy_config.is_none() && args.run.fleet.is_none() {
        text.push_str(" --policy-config FILE");
    }
    Ok(text)
}

/// More than the name, and than the file that the unit names itself.
fn has_flags(args: &GatewayInstallArgs) -> Result<bool, Failure> {
    let flags = words(&args.run)?;
    let others = flags.iter().filter(|word| word.to_str().is_some_and(|word| word.starts_with("--")));
    Ok(others.filter(|flag| !matches!(flag.to_str(), Some("--name" | "--env-file"))).count() > 0)
}
