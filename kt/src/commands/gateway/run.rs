//! `kt gateway run`: becomes `kt-gateway`, with the same terminal, signals and exit code.

use std::env::VarError;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli::local::GatewayRunArgs;
use crate::failure::{Exit, Failure};
use crate::instances;
use crate::programs;
use crate::settings::control_plane_url;

pub(crate) fn run(args: &GatewayRunArgs) -> Result<Exit, Failure> {
    let mut words = words(args)?;
    if is_as_installed(args) {
        words.push("--stored".into());
    }
    let program = programs::find("kt-gateway")?;
    // Returns only when the program could not take over.
    let error = Command::new(&program).args(words).exec();
    Err(Failure::new(Exit::Failed, "program_broken", format!("cannot run `{}`: {error}", program.display())))
}

/// Nothing says what to run, and an installation does.
fn is_as_installed(args: &GatewayRunArgs) -> bool {
    let without_source = args.policy_config.is_none() && args.fleet.is_none();
    without_source && instances::find(&args.name).is_ok_and(|found| found.installed().is_ok())
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
