//! What is known of a gateway that is stopped: what it told last, else what was installed.

use std::io;
use std::time::Duration;

use instance::documents::{LastFailure, Source, Status, Version};
use instance::{Action, Description, History, HistoryRecord, Outcome, durable};

use super::Found;
use crate::failure::Failure;

/// Larger than any that a gateway writes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Nothing runs, so nothing is observed.
///
/// # Errors
/// Neither what it told last nor `instance.json` can be used.
pub(crate) fn status(found: &Found) -> Result<Status, Failure> {
    let mut status = match (told(found), found.description()) {
        (Some(told), Ok(description)) => {
            let desired = told.desired.clone().or_else(|| installed(description));
            let listen = Some(description.listen.clone());
            Status { source: description.source, listen, desired, ..still(told) }
        }
        (Some(told), Err(_)) => still(told),
        (None, described) => {
            let description = described?;
            let listen = Some(description.listen.clone());
            Status { desired: installed(description), listen, ..empty(found, description.source) }
        }
    };
    // A history that cannot be read has its own command to say so.
    let records = History::of(&found.place).read().map(|told| told.records).unwrap_or_default();
    if let Some(failed) = failed_start(&records) {
        status.last_failure = Some(newer(status.last_failure.take(), failed, found.name()));
    }
    Ok(status)
}

/// What a first start would run.
fn installed(description: &Description) -> Option<Version> {
    let installed = description.installed.as_ref()?;
    let pack = installed.pack.as_ref()?;
    let version = Some(pack.version.clone());
    Some(Version { generation: None, version, digest: pack.digest, at: installed.at })
}

/// The start that the gateway is down for: the newest that failed, if nothing came after it that shows one that ran.
fn failed_start(records: &[HistoryRecord]) -> Option<&HistoryRecord> {
    let newest = records.iter().rev().find(|record| {
        // A stop is none, and neither is a restart that left the old process serving.
        record.action != Action::Stop && !(record.outcome == Outcome::Failed && record.observed.is_some())
    })?;
    let is_start = matches!(newest.action, Action::Start | Action::Restart);
    (is_start && newest.outcome == Outcome::Failed).then_some(newest)
}

/// What the gateway said itself of this very start, or of anything later, is more than the record of it.
fn newer(told: Option<LastFailure>, failed: &HistoryRecord, name: &str) -> LastFailure {
    let began = failed.at - Duration::from_millis(failed.duration_ms);
    if let Some(told) = told.filter(|told| told.at >= began) {
        return told;
    }
    let reason = failed.reason.clone().unwrap_or_default();
    let prefix = format!("gateway `{name}` did not start: ");
    LastFailure {
        at: failed.at,
        action: failed.action,
        stage: failed.stage.clone().unwrap_or_default(),
        reason: reason.strip_prefix(&prefix).map_or_else(|| reason.clone(), str::to_owned),
        findings: failed.findings.clone(),
    }
}

/// `status.json`; one that is spoiled is none.
pub(crate) fn told(found: &Found) -> Option<Status> {
    let bytes: io::Result<Vec<u8>> = durable::read(&found.place.last_status(), LARGEST);
    serde_json::from_slice(&bytes.ok()?).ok().filter(|status: &Status| status.name == found.name())
}

fn still(told: Status) -> Status {
    let control_plane =
        told.control_plane.map(|link| instance::documents::LinkStatus { connected: false, ..link });
    Status {
        running: false,
        pid: None,
        ready: false,
        observed: None,
        in_sync: false,
        control_plane,
        agent_version: None,
        ..told
    }
}

pub(crate) fn empty(found: &Found, source: Source) -> Status {
    Status {
        name: found.name().to_owned(),
        source,
        running: false,
        pid: None,
        listen: None,
        ready: false,
        pinned: false,
        desired: None,
        observed: None,
        in_sync: false,
        good: Vec::new(),
        withdrawn: Vec::new(),
        last_failure: None,
        remarks: Vec::new(),
        control_plane: None,
        agent_version: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use instance::Place;
    use instance::description::{Installed, InstalledPack};
    use policy_config::ConfigDigest;
    use time::OffsetDateTime;

    use super::*;

    fn description(name: &str) -> Description {
        Description {
            name: name.to_owned(),
            source: Source::Local,
            listen: "127.0.0.1:1".to_owned(),
            working_dir: "/".into(),
            policy_config: None,
            control_plane: None,
            fleet: None,
            labels: Vec::new(),
            env_file: None,
            secret_env: Vec::new(),
            decision_log: None,
            metrics_listen: None,
            max_body: None,
            max_in_flight: None,
            max_connections: None,
            installed: Some(Installed {
                at: OffsetDateTime::UNIX_EPOCH,
                pack: Some(InstalledPack { version: "0.1.0".to_owned(), digest: ConfigDigest::of(b"x") }),
            }),
        }
    }

    fn found(home: &Path) -> Found {
        let place = Place::new(home, "a");
        place.make().unwrap();
        Found { description: Ok(description("a")), place }
    }

    #[test]
    fn what_never_ran_wants_what_was_installed() {
        let home = tempfile::tempdir().unwrap();
        let status = status(&found(home.path())).unwrap();
        assert_eq!(status.desired.unwrap().version.as_deref(), Some("0.1.0"));
        assert!(!status.running && !status.in_sync && status.observed.is_none() && status.good.is_empty());
    }

    #[test]
    fn what_ran_is_known_but_runs_no_more() {
        let home = tempfile::tempdir().unwrap();
        let found = found(home.path());
        let version = Version {
            generation: None,
            version: Some("0.2.0".to_owned()),
            digest: ConfigDigest::of(b"y"),
            at: OffsetDateTime::UNIX_EPOCH,
        };
        let told = Status {
            running: true,
            pid: Some(7),
            listen: Some("127.0.0.1:9".to_owned()),
            ready: true,
            in_sync: true,
            desired: Some(version.clone()),
            observed: Some(version),
            ..empty(&found, Source::Local)
        };
        durable::write(&found.place.last_status(), &serde_json::to_vec(&told).unwrap()).unwrap();
        let known = status(&found).unwrap();
        assert_eq!(known.desired, told.desired);
        assert!(!known.running && known.pid.is_none() && known.observed.is_none() && !known.in_sync);
        assert_eq!(known.listen.as_deref(), Some("127.0.0.1:1"), "where it would listen");
        let spoiled = Found { description: Err("spoiled".to_owned()), ..found.clone() };
        assert_eq!(status(&spoiled).unwrap().desired, told.desired);
        std::fs::write(found.place.last_status(), "{").unwrap();
        assert_eq!(status(&found).unwrap().desired.unwrap().version.as_deref(), Some("0.1.0"));
        assert!(status(&spoiled).is_err(), "nothing is known any more");
    }

    #[test]
    fn a_start_that_failed_says_why_it_is_down_until_one_ran() {
        let home = tempfile::tempdir().unwrap();
        let found = found(home.path());
        let history = History::of(&found.place);
        let keep = |action, outcome, reason: Option<&str>| {
            let mut told = crate::instances::record::record(action, outcome, "root", Duration::ZERO);
            told.reason = reason.map(str::to_owned);
            history.append(&told).unwrap();
            status(&found).unwrap().last_failure.map(|failure| (failure.action, failure.reason))
        };
        assert_eq!(keep(Action::Install, Outcome::Succeeded, None), None);
        let no_key = Some((Action::Start, "no key".to_owned()));
        let reason = Some("gateway `a` did not start: no key");
        assert_eq!(keep(Action::Start, Outcome::Failed, reason), no_key);
        assert_eq!(keep(Action::Stop, Outcome::Succeeded, None), no_key, "it is down for the same reason");
        assert_eq!(keep(Action::Start, Outcome::Succeeded, None), None);
        assert_eq!(keep(Action::Stop, Outcome::Succeeded, None), None);
        assert_eq!(
            keep(Action::Restart, Outcome::Failed, Some("x")),
            Some((Action::Restart, "x".to_owned()))
        );
        assert_eq!(keep(Action::Install, Outcome::Succeeded, None), None, "it is another gateway");
    }

    #[test]
    fn a_restart_that_left_the_old_one_serving_is_no_start_that_failed() {
        let version = installed(&description("a"));
        let of = |action, outcome, observed| HistoryRecord {
            observed,
            ..crate::instances::record::record(action, outcome, "root", Duration::ZERO)
        };
        let records = [
            of(Action::Start, Outcome::Succeeded, version.clone()),
            of(Action::Restart, Outcome::Failed, version),
            of(Action::Stop, Outcome::Succeeded, None),
        ];
        assert_eq!(failed_start(&records), None);
    }
}
