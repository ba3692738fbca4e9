//! Configs and their revisions as JSON.

use proto::v1;
use serde::Serialize;

use super::findings::{FindingView, RejectionView};
use super::rollouts::{CountsView, RolloutView};
use super::{filled, time};

/// What `kt config push --json` prints; the last four fields only when it waited.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PushView {
    pub(crate) config: String,
    pub(crate) revision: u64,
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<FindingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollout: Option<RolloutRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<CountsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rejections: Option<Vec<RejectionView>>,
}

/// `{id, state}`, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RolloutRef {
    pub(crate) id: String,
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// `{config, revision, version, digest, author, note, at, source?}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RevisionView {
    pub(crate) config: String,
    pub(crate) revision: u64,
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) author: String,
    pub(crate) note: String,
    pub(crate) at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
}

/// What `kt config diff --json` prints; `sections` is empty when nothing effective changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DiffView {
    pub(crate) config: String,
    pub(crate) from: Option<RevisionView>,
    pub(crate) to: Option<RevisionView>,
    pub(crate) sections: Vec<SectionView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SectionView {
    pub(crate) section: String,
    pub(crate) lines: Vec<String>,
}

// === impl PushView ===

impl PushView {
    /// `rollout` is the newest state seen of the rollout; with `waited`, its counts are told.
    pub(crate) fn of(pushed: &v1::PushConfigResponse, rollout: Option<&v1::Rollout>, waited: bool) -> Self {
        let rollout = rollout.or(pushed.rollout.as_ref()).map(RolloutView::of);
        let told = rollout.as_ref().filter(|_| waited);
        Self {
            config: pushed.config.clone(),
            revision: pushed.revision,
            version: pushed.version.clone(),
            digest: pushed.digest.clone(),
            created: pushed.created,
            warnings: FindingView::of_wire(&pushed.warnings),
            counts: told.map(|view| view.counts),
            rejections: told.map(|view| view.rejections.clone()),
            rollout: rollout.map(|view| RolloutRef {
                id: view.id,
                state: view.state.to_owned(),
                reason: view.reason,
            }),
        }
    }
}

// === impl RevisionView ===

impl RevisionView {
    pub(crate) fn of(wire: &v1::ConfigRevision) -> Self {
        Self {
            config: wire.config.clone(),
            revision: wire.revision,
            version: wire.version.clone(),
            digest: wire.digest.clone(),
            author: wire.author.clone(),
            note: wire.note.clone(),
            at: time(wire.at.as_ref()),
            source: None,
        }
    }

    #[must_use]
    pub(crate) fn with_source(mut self, source: &[u8]) -> Self {
        self.source = Some(String::from_utf8_lossy(source).into_owned());
        self
    }
}

// === impl DiffView ===

impl DiffView {
    pub(crate) fn of(wire: &v1::DiffConfigsResponse) -> Self {
        let config = wire.to.as_ref().or(wire.from.as_ref()).and_then(|revision| filled(&revision.config));
        Self {
            config: config.unwrap_or_default(),
            from: wire.from.as_ref().map(RevisionView::of),
            to: wire.to.as_ref().map(RevisionView::of),
            sections: wire
                .sections
                .iter()
                .map(|section| SectionView { section: section.section.clone(), lines: section.lines.clone() })
                .collect(),
        }
    }
}
