//! What is known of a gateway that is stopped: what it told last, else what was installed.

use std::io;

use instance::documents::{Source, Status, Version};
use instance::durable;

use super::Found;
use crate::failure::Failure;

/// Larger than any that a gateway writes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Nothing runs, so nothing is observed.
///
/// # Errors
/// Neither what it told last nor `instance.json` can be used.
pub(crate) fn status(found: &Found) -> Result<Status, Failure> {
    let told = told(found);
    match (told, found.description()) {
        (Some(told), Ok(description)) => {
            Ok(Status { source: description.source, listen: Some(description.listen.clone()), ..still(told) })
        }
        (Some(told), Err(_)) => Ok(still(told)),
        (None, described) => {
            let description = described?;
            let installed = description.installed.as_ref();
            let desired = installed.and_then(|installed| {
                let pack = installed.pack.as_ref()?;
                let version = Some(pack.version.clone());
                Some(Version { generation: None, version, digest: pack.digest, at: installed.at })
            });
            Ok(Status {
                desired,
                listen: Some(description.listen.clone()),
                ..empty(found, description.source)
            })
        }
    }
}

/// `status.json`; one that is spoiled is none.
fn told(found: &Found) -> Option<Status> {
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

    use instance::description::{Installed, InstalledPack};
    use instance::{Description, Place};
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
}
