//! Configs and their revisions as JSON.

use policy_config::diff::{Change, SectionDiff};
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

/// What `kt policy diff --json` prints; `sections` is empty when nothing effective changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FileDiffView {
    pub(crate) from: PackFileView,
    pub(crate) to: PackFileView,
    pub(crate) sections: Vec<SectionView>,
    /// Whether the cases under `testing` differ, which changes nothing on a gateway.
    pub(crate) tests_differ: bool,
    pub(crate) risks: Vec<FindingView>,
}

/// `{file, pack, version, digest}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PackFileView {
    pub(crate) file: String,
    pub(crate) pack: String,
    pub(crate) version: String,
    pub(crate) digest: String,
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

// === impl SectionView ===

impl SectionView {
    /// A section as the control plane tells it: `- path: before`, `+ path: after`.
    pub(crate) fn of(diff: &SectionDiff) -> Self {
        let lines = diff.changes.iter().flat_map(|Change { path, before, after }| {
            let before = before.as_ref().map(|before| format!("- {path}: {before}"));
            let after = after.as_ref().map(|after| format!("+ {path}: {after}"));
            before.into_iter().chain(after)
        });
        Self { section: diff.section.to_owned(), lines: lines.collect() }
    }
}
