//! `kt gateway run`: becomes `kt-gateway`, with the same terminal, signals and exit code.

use std::env::VarError;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli::local::GatewayRunArgs;
use crate::failure::{Exit, Failure};
use crate::instances::{self, Found};
use crate::printer::Printer;
use crate::programs;
use crate::settings::control_plane_url;
use crate::supervisor;

pub(crate) fn run(args: &GatewayRunArgs, printer: &Printer) -> Result<Exit, Failure> {
    let mut words = words(args)?;
    let stored = is_as_installed(args)?;
    if stored {
        words.push("--stored".into());
    }
    let program = programs::find("kt-gateway")?;
    if printer.is_json() {
        check(args, &words, stored, printer)?;
    }
    // Returns only when the program could not take over.
    let error = Command::new(&program).args(words).exec();
    Err(Failure::new(Exit::Failed, "program_broken", format!("cannot run `{}`: {error}", program.display())))
}

/// Nothing says what to run, and an installation does.
fn is_as_installed(args: &GatewayRunArgs) -> Result<bool, Failure> {
    if args.policy_config.is_some() || args.fleet.is_some() {
        return Ok(false);
    }
    match instances::find(&args.name) {
        Ok(found) => Ok(found.description()?.installed.is_some()),
        Err(failure) if failure.exit() == Exit::Forbidden => Err(failure),
        // kt-gateway says what a name or a source must be.
        Err(_) => Ok(false),
    }
}

/// A program that took over says what is wrong in its own words; whoever reads JSON is told before it does.
fn check(args: &GatewayRunArgs, words: &[OsString], stored: bool, printer: &Printer) -> Result<(), Failure> {
    super::install::check_flags(words)?;
    let found = instances::find(&args.name);
    if found.as_ref().is_ok_and(Found::is_served) {
        let message = format!("gateway `{}` runs already", args.name);
        return Err(Failure::new(Exit::Conflict, "in_use", message)
            .with_field("--name")
            .with_hint("stop it, or choose another --name"));
    }
    // With something on its disk it would serve that instead.
    if let (Some(path), Err(_)) = (&args.policy_config, &found) {
        super::install::read(path, "nothing is started", printer)?;
    }
    let installed = match &found {
        Ok(found) if stored => Some(found.description()?.listen.clone()),
        _ => None,
    };
    let listen = args.listen.clone().or(installed);
    let listen = listen.unwrap_or_else(|| super::install::DEFAULT_LISTEN.to_owned());
    // Let go of at once: the gateway takes it a moment later.
    supervisor::may_listen(&listen)
}

/// The control plane that a gateway of a fleet is told.
pub(super) fn control_plane(args: &GatewayRunArgs) -> Result<Option<String>, Failure> {
    if args.fleet.is_none() {
        return Ok(None);
    }
    let chosen = args.control_plane.clone().map_or_else(from_environment, |url| Ok(Some(url)))?;
    control_plane_url(chosen.as_deref()).map(|(url, _)| Some(url))
}

/// The command line of `kt-gateway`; of a managed gateway with its control plane spelled out.
pub(super) fn words(args: &GatewayRunArgs) -> Result<Vec<OsString>, Failure> {
    let mut words: Vec<OsString> = Vec::new();
    let mut flag = |name: &str, value: OsString| words.extend([OsString::from(name), value]);
    flag("--name", args.name.clone().into());
    if let Some(listen) = &args.listen {
        flag("--listen", listen.into());
    }
    if let Some(path) = &args.policy_config {
        flag("--policy-config", path.into());
    }
    if let (Some(fleet), Some(url)) = (&args.fleet, control_plane(args)?) {
        flag("--control-plane", url.into());
        flag("--fleet", fleet.into());
    }
    for label in &args.labels {
        flag("--label", label.into());
    }
    if let Some(path) = &args.env_file {
        flag("--env-file", path.into());
    }
    for glob in &args.secret_env {
        flag("--secret-env", glob.into());
    }
    if let Some(path) = &args.decision_log {
        flag("--decision-log", path.into());
    }
    if let Some(listen) = &args.metrics_listen {
        flag("--metrics-listen", listen.into());
    }
    if let Some(bytes) = &args.max_body {
        flag("--max-body", bytes.into());
    }
    if let Some(number) = &args.max_in_flight {
        flag("--max-in-flight", number.into());
    }
    if let Some(number) = &args.max_connections {
        flag("--max-connections", number.into());
    }
    if let Some(path) = &args.working_dir {
        flag("--working-dir", path.into());
    }
    Ok(words)
}

/// The control plane that the environment names; an empty variable is one that is not set.
fn from_environment() -> Result<Option<String>, Failure> {
    match std::env::var("KT_CONTROL_PLANE") {
        Ok(url) => Ok(Some(url).filter(|url| !url.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Failure::usage("KT_CONTROL_PLANE", "KT_CONTROL_PLANE is not UTF-8, so it is no URL")
                .with_hint("write it as http://127.0.0.1:7443"))
        }
    }
}
