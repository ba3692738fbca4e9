//! What a gateway's own word of itself means to whoever waits for it, and how that is told. Pure.

use std::time::Duration;

use instance::documents::{Source, Status};

/// A gateway that answers has decided what it serves; its control plane may still be on the way.
const GRACE: Duration = Duration::from_secs(2);
/// From a control plane that has a config it comes at once.
const FIRST_CONFIG: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    NotYet,
    /// It serves, or does what it can: nothing more comes by waiting.
    Settled,
}

/// What `status` tells of process `pid`, which has answered since `answered`.
pub(super) fn judge(status: &Status, pid: u32, answered: Duration) -> Standing {
    if status.pid != Some(pid) {
        // The one before, which still has the socket.
        return Standing::NotYet;
    }
    let link = status.control_plane.as_ref().map(|link| link.connected);
    // Ready a moment before it says with what.
    let serves = status.ready && status.observed.is_some();
    let patience = match (serves, link) {
        (true, None | Some(true)) => Duration::ZERO,
        (false, Some(true)) => FIRST_CONFIG,
        (false, None) | (_, Some(false)) => GRACE,
    };
    if answered >= patience { Standing::Settled } else { Standing::NotYet }
}

/// Whether a gateway of this status may take the place of one of that: it serves whatever that one serves.
///
/// # Errors
/// What it lacks.
pub(super) fn may_follow(before: &Status, status: &Status) -> Result<(), String> {
    let served = before.ready || before.observed.is_some();
    if served && !status.ready {
        return Err(without_pack(status));
    }
    let was_down = |target: &str| before.targets_down().any(|(down, _)| down == target);
    match status.targets_down().find(|(target, _)| !was_down(target)) {
        Some((target, why)) if served => Err(format!("its target `{target}` would be down: {why}")),
        Some(_) | None => Ok(()),
    }
}

/// How a gateway stands that runs; after `… runs (pid 7) on 127.0.0.1:41002: `. `Err`: it does nothing for anybody.
pub(crate) fn told(status: &Status) -> Result<String, String> {
    let version = status.observed.as_ref().and_then(|observed| observed.version.as_deref());
    let link = status.control_plane.as_ref();
    match (status.source, version.filter(|_| status.ready), link.is_some_and(|link| link.connected)) {
        (Source::Local, Some(version), _) => Ok(format!("serving {version}")),
        (Source::Local, None, _) => Err(without_pack(status)),
        (Source::ControlPlane, Some(version), true) => Ok(format!("connected, serving {version}")),
        (Source::ControlPlane, Some(version), false) => {
            Ok(format!("control plane unreachable, serving {version} from disk"))
        }
        (Source::ControlPlane, None, true) => Ok("connected, waiting for its first config".to_owned()),
        (Source::ControlPlane, None, false) => {
            Ok("control plane unreachable, waiting for its first config".to_owned())
        }
    }
}

fn without_pack(status: &Status) -> String {
    let why = match (&status.last_failure, status.remarks.first()) {
        (Some(failure), _) => format!(": {}", failure.reason),
        (None, Some(remark)) => format!(": {remark}"),
        (None, None) => String::new(),
    };
    format!("it has no pack to serve and answers 503{why}")
}

#[cfg(test)]
mod tests {
    use instance::documents::{LinkStatus, Version};
    use policy_config::ConfigDigest;
    use time::OffsetDateTime;

    use super::*;

    fn status(source: Source, ready: bool, connected: bool) -> Status {
        let version = Version {
            generation: None,
            version: Some("0.1.0".to_owned()),
            digest: ConfigDigest::of(b"x"),
            at: OffsetDateTime::UNIX_EPOCH,
        };
        let link = LinkStatus { url: String::new(), fleet: "prod".to_owned(), connected };
        Status {
            name: "a".to_owned(),
            source,
            running: true,
            pid: Some(7),
            listen: None,
            ready,
            pinned: false,
            desired: None,
            observed: ready.then_some(version),
            in_sync: false,
            good: Vec::new(),
            withdrawn: Vec::new(),
            last_failure: None,
            remarks: Vec::new(),
            control_plane: (source == Source::ControlPlane).then_some(link),
            agent_version: None,
        }
    }

    #[test]
    fn who_waits_is_told_once_waiting_brings_nothing() {
        use Source::{ControlPlane, Local};
        use Standing::{NotYet, Settled};
        let (at_once, later) = (Duration::ZERO, GRACE);
        for (source, ready, connected, answered, expected, words) in [
            (Local, true, false, at_once, Settled, Ok("serving 0.1.0")),
            (Local, false, false, at_once, NotYet, Err("it has no pack to serve and answers 503")),
            (Local, false, false, later, Settled, Err("it has no pack to serve and answers 503")),
            (ControlPlane, true, true, at_once, Settled, Ok("connected, serving 0.1.0")),
            (
                ControlPlane,
                true,
                false,
                at_once,
                NotYet,
                Ok("control plane unreachable, serving 0.1.0 from disk"),
            ),
            (
                ControlPlane,
                true,
                false,
                later,
                Settled,
                Ok("control plane unreachable, serving 0.1.0 from disk"),
            ),
            (ControlPlane, false, true, at_once, NotYet, Ok("connected, waiting for its first config")),
            (ControlPlane, false, true, FIRST_CONFIG, Settled, Ok("connected, waiting for its first config")),
            (
                ControlPlane,
                true,
                false,
                FIRST_CONFIG,
                NotYet,
                Ok("control plane unreachable, serving 0.1.0 from disk"),
            ),
            (
                ControlPlane,
                false,
                false,
                later,
                Settled,
                Ok("control plane unreachable, waiting for its first config"),
            ),
        ] {
            let status = status(source, ready, connected);
            let case = format!("{source:?} ready {ready} connected {connected} after {answered:?}");
            assert_eq!(judge(&status, 7, answered), expected, "{case}");
            assert_eq!(told(&status), words.map(str::to_owned).map_err(str::to_owned), "{case}");
            assert_eq!(judge(&status, 8, answered), NotYet, "{case}: of another process");
            let vague = Status { observed: None, ..status };
            assert_eq!(judge(&vague, 7, at_once), NotYet, "{case}: it says not yet with what");
        }
    }
    #[test]
    fn nobody_makes_way_for_one_that_does_less() {
        let serving = status(Source::Local, true, false);
        let idle = status(Source::Local, false, false);
        let with = |targets: &[&str]| Status {
            remarks: targets.iter().map(|target| Status::target_down(target, "no key")).collect(),
            ..serving.clone()
        };
        assert_eq!(may_follow(&serving, &serving), Ok(()));
        assert_eq!(may_follow(&idle, &idle), Ok(()), "there was nothing to lose");
        assert!(may_follow(&serving, &idle).is_err());
        assert_eq!(may_follow(&with(&["a"]), &with(&["a"])), Ok(()), "it was down before");
        assert!(may_follow(&with(&["a"]), &with(&["a", "b"])).is_err_and(|why| why.contains("`b`")));
        assert_eq!(may_follow(&idle, &with(&["a"])), Ok(()));
    }
}
