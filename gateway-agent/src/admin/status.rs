//! What `GET /keeptrusts/config` says, of what the Activator remembers.

use fleet_core::ids::Lineage;
use instance::documents::{KeptVersion, Source, Status, Version};

use crate::activation::record::{KeptPack, Record};

/// What a status says of the process, whatever runs.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) name: String,
    pub(super) source: Source,
    /// `IP:PORT`.
    pub(super) listen: String,
    pub(super) ready: bool,
}

/// The status at this moment.
pub(super) fn status(serving: Serving, record: &Record) -> Status {
    let observed = record.active_pack().map(version);
    Status {
        name: serving.name,
        source: serving.source,
        running: true,
        pid: Some(std::process::id()),
        listen: Some(serving.listen),
        ready: serving.ready,
        pinned: record.pinned,
        desired: observed.clone(),
        in_sync: observed.is_some(),
        observed,
        good: record.kept.iter().filter(|pack| pack.good).map(kept).collect(),
        withdrawn: record.withdrawn().and_then(|digest| record.pack(digest)).map(kept).into_iter().collect(),
        last_failure: None,
        remarks: Vec::new(),
        control_plane: None,
        agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    }
}

fn version(pack: &KeptPack) -> Version {
    Version {
        generation: pack
            .assigned
            .filter(|(lineage, _)| *lineage != Lineage::LOCAL)
            .map(|(_, generation)| generation.0),
        version: Some(pack.version.to_string()),
        digest: pack.digest,
        at: pack.since.wall,
    }
}

fn kept(pack: &KeptPack) -> KeptVersion {
    KeptVersion { version: pack.version.to_string(), digest: pack.digest }
}
