//! What a gateway says of itself: the record and a few facts of its process, as the document that scripts read.

use fleet_core::offer::NackReason;
use instance::documents::{Finding, KeptVersion, LastFailure, LinkStatus, Source, Status, Version};

use super::record::{Desired, Failure, KeptPack, Record};

/// What the record does not know.
#[derive(Debug, Clone)]
pub struct Facts {
    pub name: String,
    pub source: Source,
    /// The process that serves; `None`: none does.
    pub pid: Option<u32>,
    pub listen: Option<String>,
    /// `/readyz` would be 200.
    pub ready: bool,
    /// Of a managed gateway.
    pub link: Option<LinkStatus>,
    /// What was spoiled at the start.
    pub remarks: Vec<String>,
    pub agent_version: Option<String>,
}

/// The whole of it.
pub fn status(record: &Record, facts: Facts) -> Status {
    let observed = running(record);
    // A standing of an earlier release does not say what was desired: it never ran anything else for long.
    let desired = record.desired.as_ref().map(desired).or_else(|| observed.clone());
    let digest = |version: &Option<Version>| version.as_ref().map(|version| version.digest);
    Status {
        name: facts.name,
        source: facts.source,
        running: facts.pid.is_some(),
        pid: facts.pid,
        listen: facts.listen,
        ready: facts.ready,
        pinned: record.pinned,
        in_sync: observed.is_some() && digest(&desired) == digest(&observed),
        desired,
        observed,
        good: record.good().map(kept).collect(),
        withdrawn: record
            .withdrawn
            .iter()
            .filter_map(|withdrawn| {
                let version = withdrawn.version.as_ref()?.to_string();
                Some(KeptVersion { version, digest: withdrawn.digest })
            })
            .collect(),
        last_failure: record.last_failure.as_ref().map(last_failure),
        remarks: facts.remarks,
        control_plane: facts.link,
        agent_version: facts.agent_version,
    }
}

/// What runs.
pub fn running(record: &Record) -> Option<Version> {
    record.active_pack().map(version)
}

/// A pack that ran or runs.
pub(super) fn version(pack: &KeptPack) -> Version {
    Version {
        generation: pack.central_generation().map(|generation| generation.0),
        version: Some(pack.version.to_string()),
        digest: pack.digest,
        at: pack.since.wall,
    }
}

fn desired(desired: &Desired) -> Version {
    Version {
        generation: desired.generation.map(|generation| generation.0),
        version: desired.version.as_ref().map(ToString::to_string),
        digest: desired.digest,
        at: desired.since.wall,
    }
}

fn kept(pack: &KeptPack) -> KeptVersion {
    KeptVersion { version: pack.version.to_string(), digest: pack.digest }
}

fn last_failure(failure: &Failure) -> LastFailure {
    let NackReason { stage, reason, findings } = &failure.reason;
    LastFailure {
        at: failure.at.wall,
        action: failure.action,
        stage: stage.to_string(),
        reason: reason.clone(),
        findings: findings.iter().map(Finding::from).collect(),
    }
}
