//! What a gateway says of itself: the record and a few facts of its process, as the document that scripts read.

use fleet_core::ids::Lineage;
use instance::documents::{KeptVersion, LinkStatus, Source, Status, Version};

use crate::activation::record::{KeptPack, Record};

/// What the record does not know.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) source: Source,
    /// The process that serves; `None`: none does.
    pub(super) pid: Option<u32>,
    pub(super) listen: Option<String>,
    /// `/readyz` would be 200.
    pub(super) ready: bool,
    /// Of a managed gateway.
    pub(super) link: Option<LinkStatus>,
    /// What was spoiled at the start.
    pub(super) remarks: Vec<String>,
    pub(super) agent_version: Option<String>,
}

/// The whole of it.
pub(super) fn status(record: &Record, facts: Facts) -> Status {
    let observed = running(record);
    Status {
        name: facts.name,
        source: facts.source,
        running: facts.pid.is_some(),
        pid: facts.pid,
        listen: facts.listen,
        ready: facts.ready,
        pinned: record.pinned,
        desired: observed.clone(),
        in_sync: observed.is_some(),
        observed,
        good: record.kept.iter().filter(|pack| pack.good).map(kept).collect(),
        withdrawn: record.withdrawn().and_then(|digest| record.pack(digest)).map(kept).into_iter().collect(),
        last_failure: None,
        remarks: facts.remarks,
        control_plane: facts.link,
        agent_version: facts.agent_version,
    }
}

/// What runs.
pub(super) fn running(record: &Record) -> Option<Version> {
    record.active_pack().map(|pack| Version {
        generation: pack
            .assigned
            .filter(|(lineage, _)| *lineage != Lineage::LOCAL)
            .map(|(_, generation)| generation.0),
        version: Some(pack.version.to_string()),
        digest: pack.digest,
        at: pack.since.wall,
    })
}

fn kept(pack: &KeptPack) -> KeptVersion {
    KeptVersion { version: pack.version.to_string(), digest: pack.digest }
}
