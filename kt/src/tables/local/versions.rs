//! How packs are named to a person: by the author's version, and by their digest where that does not tell them apart.

use instance::HistoryRecord;
use instance::documents::{KeptVersion, Status, Version};
use policy_config::ConfigDigest;

use crate::words::short_digest;

/// The packs that are shown side by side.
pub(super) struct Versions<'a>(Vec<(&'a str, ConfigDigest)>);

// === impl Versions ===

impl<'a> Versions<'a> {
    pub(super) fn of_status(status: &'a Status) -> Self {
        let kept = status.good.iter().chain(&status.withdrawn);
        let kept = kept.map(|kept| (kept.version.as_str(), kept.digest));
        Self(status.observed.iter().chain(&status.desired).filter_map(named).chain(kept).collect())
    }

    pub(super) fn of_records(records: &'a [HistoryRecord]) -> Self {
        let all =
            records.iter().flat_map(|record| record.from.iter().chain(&record.to).chain(&record.observed));
        Self(all.filter_map(named).collect())
    }

    /// The author's version; of bytes that do not parse their digest.
    pub(super) fn name(&self, version: Option<&Version>) -> String {
        match version {
            Some(Version { version: Some(version), digest, .. }) => self.label(version, *digest),
            Some(Version { digest, .. }) => short_digest(&digest.to_string()),
            None => "nothing".to_owned(),
        }
    }

    pub(super) fn kept(&self, kept: &KeptVersion) -> String {
        self.label(&kept.version, kept.digest)
    }

    fn label(&self, version: &str, digest: ConfigDigest) -> String {
        if self.0.iter().any(|(other, bytes)| *other == version && *bytes != digest) {
            format!("{version} ({})", short_digest(&digest.to_string()))
        } else {
            version.to_owned()
        }
    }
}

fn named(version: &Version) -> Option<(&str, ConfigDigest)> {
    version.version.as_deref().map(|name| (name, version.digest))
}
