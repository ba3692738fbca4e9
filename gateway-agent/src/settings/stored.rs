//! An installed gateway: what `instance.json` says, as if it had been typed, beneath what is typed now.

use fleet_core::gateway::GatewayName;
use instance::documents::Source as SourceWord;
use instance::{Description, Place};

use super::{Environment, Settings, SettingsError, Source, StoredSource, source};
use crate::args::Args;

/// What was installed. `None`: nothing was, and nobody says that it was.
pub(super) fn description(args: &Args, place: &Place) -> Result<Option<Description>, SettingsError> {
    let path = place.description();
    let found = Description::read(place).map_err(|error| SettingsError::Description { path, error })?;
    match found.filter(|description| description.installed.is_some()) {
        None if args.stored => Err(SettingsError::NotInstalled(place.name().to_owned())),
        found => Ok(found),
    }
}

/// What was installed passes the same checks as flags do.
pub(super) fn settings(
    typed: Args,
    name: GatewayName,
    description: Description,
    environment: Environment,
) -> Result<Settings, SettingsError> {
    let installed = description.installed.as_ref().and_then(|installed| installed.pack.as_ref());
    let installed = installed.map(|pack| pack.digest);
    let word = description.source;
    // Only reloads read it: that it is gone stops no start.
    let working_dir = description.working_dir.clone();
    let is_gone = typed.working_dir.is_none() && !working_dir.is_dir();
    let mut merged = beneath(&typed, description);
    if is_gone {
        merged.working_dir = None;
    }
    let source = match (word, &merged) {
        (SourceWord::Local, Args { fleet: None, control_plane: None, .. }) => {
            Ok(Source::Stored(StoredSource { policy_file: merged.policy_config.clone(), installed }))
        }
        (SourceWord::Local | SourceWord::ControlPlane, merged) => source(merged, &environment),
    };
    let settings = source.and_then(|source| Settings::of(merged, name, source, environment));
    let mut settings = settings.map_err(|error| match typed.gives(error.what()) {
        true => error,
        false => SettingsError::Stored(Box::new(error)),
    })?;
    if is_gone {
        settings.working_dir = working_dir;
    }
    Ok(settings)
}

/// What is typed wins, each flag for itself.
fn beneath(typed: &Args, description: Description) -> Args {
    let list = |typed: &Vec<String>, stored| if typed.is_empty() { stored } else { typed.clone() };
    let typed = typed.clone();
    Args {
        labels: list(&typed.labels, description.labels),
        secret_env: list(&typed.secret_env, description.secret_env),
        listen: typed.listen.or(Some(description.listen)),
        policy_config: typed.policy_config.or(description.policy_config),
        control_plane: typed.control_plane.or(description.control_plane),
        fleet: typed.fleet.or(description.fleet),
        env_file: typed.env_file.or(description.env_file),
        decision_log: typed.decision_log.or(description.decision_log),
        metrics_listen: typed.metrics_listen.or(description.metrics_listen),
        max_body: typed.max_body.or(description.max_body),
        max_in_flight: typed.max_in_flight.or(description.max_in_flight),
        max_connections: typed.max_connections.or(description.max_connections),
        working_dir: typed.working_dir.or(Some(description.working_dir)),
        ..typed
    }
}
