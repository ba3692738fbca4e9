//! `kt gateway install`: everything is checked before anything is made, and then all of it is there or nothing.

mod place;
mod unit;

pub(super) use place::{copy, kept_history, sync, tidy};

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use instance::description::{Installed, InstalledPack};
use instance::documents::{Source, Version};
use instance::{Action, Description, Outcome};
use policy_config::ConfigDigest;
use service_kit::clock::Clock;

use super::run::words;
use crate::cli::gateway::GatewayInstallArgs;
use crate::cli::local::GatewayRunArgs;
use crate::diagnostics::{Exhibit, Style, first_place, report, summary};
use crate::failure::{Exit, Failure};
use crate::input::NamedSource;
use crate::instances::{self, record, stopped};
use crate::printer::Printer;
use crate::programs;
use crate::settings::state_dir;
use crate::words::{clean_line, short_digest};

/// A pack that lint admits.
pub(super) struct Pack {
    source: NamedSource,
    version: String,
}

pub(crate) fn run(args: &GatewayInstallArgs, printer: &Printer) -> Result<Exit, Failure> {
    let place = instances::place_of(&args.run.name)?;
    if args.print_systemd_unit {
        return unit::print(args, printer);
    }
    if std::fs::symlink_metadata(place.dir()).is_ok() {
        return Err(place::exists(place.name()));
    }
    // What is not there yet may be made wherever this user may.
    for dir in [state_dir(), instance::place::gateways(&state_dir())] {
        match dir.symlink_metadata() {
            Ok(_) => instances::mine(&dir)?,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(instances::cannot_use(&dir, &error));
            }
            Err(_) => {}
        }
    }
    if args.join_token_file.is_some() {
        return Err(Failure::usage("--join-token-file", "this version has no join tokens yet").with_hint(
            "on the control plane's host its operator token lets a gateway join: leave the flag out",
        ));
    }
    if args.run.policy_config.as_deref().is_some_and(|path| path.as_os_str() == "-") {
        let message = "a gateway is installed from a file, not from standard input";
        return Err(Failure::usage("--policy-config", message));
    }
    check(&args.run)?;
    let pack = args
        .run
        .policy_config
        .as_deref()
        .map(|path| read(path, "nothing is installed", printer))
        .transpose()?;
    let description = describe(&args.run, pack.as_ref())?;
    let mut told = record::record(Action::Install, Outcome::Succeeded, record::me(), Duration::ZERO);
    told.to = description.installed.as_ref().and_then(|installed| {
        let pack = installed.pack.as_ref()?;
        let version = Some(pack.version.clone());
        Some(Version { generation: None, version, digest: pack.digest, at: installed.at })
    });
    let bytes = pack.as_ref().map(|pack| pack.source.bytes.as_slice());
    place::make(&place, &description, bytes, &told, printer)?;
    show(&description, printer)
}

/// What `kt-gateway` says of its flags and of the environment.
fn check(args: &GatewayRunArgs) -> Result<(), Failure> {
    if args.policy_config.is_none() && args.fleet.is_none() {
        return Err(Failure::usage("--policy-config", "a gateway needs a source")
            .with_hint("--policy-config FILE, or --control-plane URL --fleet FLEET"));
    }
    check_flags(&words(args)?)?;
    // A port that is another at each start is for a foreground.
    let listen = args.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
    if listen.rsplit(':').next() == Some("0") {
        return Err(Failure::usage(
            "--listen",
            format!("--listen: `{listen}` is another port at each start"),
        )
        .with_hint("an installed gateway keeps its port; write it as 127.0.0.1:41002"));
    }
    Ok(())
}

/// As `kt-gateway` would, which makes nothing.
pub(super) fn check_flags(words: &[OsString]) -> Result<(), Failure> {
    let program = programs::find("kt-gateway")?;
    let output = Command::new(&program).args(words).arg("--check").stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        Failure::new(Exit::Failed, "program_broken", format!("cannot run `{}`: {error}", program.display()))
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(&said, output.status.code()));
    }
    Ok(())
}

pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:41002";

/// `error: --listen: …`, as `kt-gateway` wrote it, with its exit code.
fn refused(said: &str, code: Option<i32>) -> Failure {
    let line = said.lines().find_map(|line| line.strip_prefix("error: ")).or_else(|| said.lines().next());
    let line = line.unwrap_or("kt-gateway refuses the flags").trim();
    let exit = match code.and_then(|code| u8::try_from(code).ok()) {
        Some(code @ 1..=6) => Exit::of_code(code),
        _ => Exit::Failed,
    };
    let code = match exit {
        Exit::NotFound => "file_not_found",
        Exit::Forbidden => "file_forbidden",
        Exit::Conflict => "in_use",
        Exit::Unreachable => "unreachable",
        Exit::Done | Exit::Failed => "start_failed",
        Exit::Usage => "invalid_argument",
    };
    let failure = Failure::new(exit, code, line);
    match line.split_once(": ") {
        Some((flag, _)) if flag.starts_with("--") && !flag.contains(' ') => failure.with_field(flag),
        _ => failure,
    }
}

/// Reads and lints, as `kt policy lint` does.
pub(super) fn read(path: &Path, so: &str, printer: &Printer) -> Result<Pack, Failure> {
    let source = NamedSource::read(path, "--policy-config")?;
    let (config, found) = source.document().parse();
    let exhibit = Exhibit { name: &source.name, source: &source.bytes };
    let style = Style { colour: printer.stderr_has_colour() };
    match config {
        Some(config) if found.admissible() => {
            if !found.findings.is_empty() {
                printer.talk(&report(exhibit, &found.findings, style));
            }
            let version = config.pack.version.to_string();
            Ok(Pack { source, version })
        }
        _ => {
            let drawn = report(exhibit, &found.findings, style);
            Err(Failure::new(
                Exit::Usage,
                "invalid_pack",
                format!(
                    "{}: the pack is not valid: {}; {so}",
                    first_place(&clean_line(&source.name), &found.findings),
                    summary(&found.findings)
                ),
            )
            .with_field("--policy-config")
            .with_report(drawn)
            .with_findings(found.findings))
        }
    }
}

/// The flags as they are kept: paths absolute, the control plane spelled out.
fn describe(args: &GatewayRunArgs, pack: Option<&Pack>) -> Result<Description, Failure> {
    let whole = |field: &str, path: &Option<PathBuf>| {
        path.as_deref()
            .map(std::path::absolute)
            .transpose()
            .map_err(|error| Failure::usage(field, format!("the path has no place: {error}")))
    };
    let working_dir = working_dir(args)?;
    let control_plane = super::run::control_plane(args)?;
    let pack = pack.map(|pack| InstalledPack {
        version: pack.version.clone(),
        digest: ConfigDigest::of(&pack.source.bytes),
    });
    Ok(Description {
        name: args.name.clone(),
        source: if args.fleet.is_some() { Source::ControlPlane } else { Source::Local },
        listen: args.listen.clone().unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
        working_dir,
        policy_config: whole("--policy-config", &args.policy_config)?,
        control_plane,
        fleet: args.fleet.clone(),
        labels: args.labels.clone(),
        env_file: whole("--env-file", &args.env_file)?,
        secret_env: args.secret_env.clone(),
        decision_log: whole("--decision-log", &args.decision_log)?,
        metrics_listen: args.metrics_listen.clone(),
        max_body: args.max_body.clone(),
        max_in_flight: args.max_in_flight.clone(),
        max_connections: args.max_connections.clone(),
        installed: Some(Installed { at: Clock::system().now(), pack }),
    })
}

fn working_dir(args: &GatewayRunArgs) -> Result<PathBuf, Failure> {
    let given = args.working_dir.as_deref().unwrap_or(Path::new("."));
    std::fs::canonicalize(given)
        .map_err(|error| Failure::usage("--working-dir", format!("`{}`: {error}", given.display())))
}

fn show(description: &Description, printer: &Printer) -> Result<Exit, Failure> {
    let name = &description.name;
    if printer.is_json() {
        printer.json(&stopped::status(&instances::find(name)?)?)?;
        return Ok(Exit::Done);
    }
    let runs = match (&description.installed, &description.fleet) {
        (Some(Installed { pack: Some(pack), .. }), _) => {
            format!("{} ({})", pack.version, short_digest(&pack.digest.to_string()))
        }
        (_, Some(fleet)) => format!("as one of fleet {fleet}"),
        _ => "without a pack".to_owned(),
    };
    printer.text(&format!("installed gateway {name}: {runs}, to serve on {}", description.listen))?;
    printer.talk(&format!("start it with `kt gateway start --name {name}`"));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_gateway_become_the_failure() {
        let said = "error: --listen: `:99999` is not an address; write IP:PORT, as 127.0.0.1:41002\n";
        let failure = refused(said, Some(2));
        assert_eq!((failure.exit(), failure.field()), (Exit::Usage, Some("--listen")));
        assert!(failure.message().starts_with("--listen: `:99999`"), "{}", failure.message());
        let missing = refused("error: --policy-config: there is no `x`\n", Some(3));
        assert_eq!((missing.exit(), missing.code()), (Exit::NotFound, "file_not_found"));
        assert_eq!(refused("error: the state is odd: so\n", Some(3)).field(), None);
        assert_eq!(refused("", None).exit(), Exit::Failed);
        assert_eq!(refused("thread panicked", Some(101)).exit(), Exit::Failed);
    }
}
