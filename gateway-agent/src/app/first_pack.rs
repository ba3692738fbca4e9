//! The pack that a start puts in force over what the disk held: the file of the command line, or the one that was
//! installed. What it gets wrong ends the start only if there is nothing to serve instead.

use std::path::PathBuf;

use fleet_core::offer::NackReason;
use instance::documents::{Finding, Version};
use instance::{Action, Place, durable};
use policy_config::ConfigDigest;

use super::AppError;
use super::policy_file::not_loaded;
use super::steering::Steering;
use crate::activation::handle::{Asked, LocalChange};
use crate::activation::live::LivePolicy;
use crate::activation::local_source;
use crate::holding;
use crate::settings::{Settings, Source};

/// What a start wants beside what the disk holds.
pub(super) enum FirstPack {
    File {
        path: PathBuf,
        source: Vec<u8>,
    },
    /// Only where nothing was ever activated.
    Installed(Option<ConfigDigest>),
    /// The control plane will say.
    None,
}

/// How it went where the gateway serves all the same: for the record of the start.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) reason: Option<String>,
    pub(super) stage: Option<String>,
    pub(super) findings: Vec<Finding>,
    /// What was wanted and did not come into force.
    pub(super) wanted: Option<ConfigDigest>,
    /// What ran after it, as the order's answer says: the record is told a moment later.
    pub(super) observed: Option<Version>,
}

/// Why an installed pack is not started although nothing else is there.
const LOST: &str = "what this gateway ran before is lost, or is another one's; the pack of its installation may be long \
                    out of date and is not started: load a pack with `kt gateway reload`";

// === impl FirstPack ===

impl FirstPack {
    /// Looks before anything is created, so that a typing error leaves no trace.
    pub(super) fn look(settings: &Settings) -> Result<Self, AppError> {
        match &settings.source {
            Source::File(path) => Ok(Self::File { path: path.clone(), source: local_source::read(path)? }),
            Source::Stored(stored) => Ok(Self::Installed(stored.installed)),
            Source::ControlPlane(source) => {
                if !settings.instance_dir().join("credential.json").exists() {
                    source.operator_token.check_named()?;
                }
                Ok(Self::None)
            }
        }
    }

    pub(super) async fn apply(
        self,
        steering: &mut Steering,
        live: &LivePolicy,
        is_new: bool,
    ) -> Result<Outcome, AppError> {
        let record = steering.handle().record();
        let (path, source) = match self {
            Self::File { path, source } => (path, source),
            Self::Installed(Some(digest)) if record.kept.is_empty() && live.snapshot().is_none() => {
                let desired = record.desired.as_ref().map(|desired| desired.digest);
                // A first start that was refused is tried again.
                let is_first = is_new || desired == Some(digest);
                let place = steering.holding().place();
                let path = place.pack(digest);
                let found = match is_first && steering.handle().remarks().is_empty() {
                    true => installed(place, digest),
                    false => Err(LOST.to_owned()),
                };
                match found {
                    Ok(source) => (path, source),
                    Err(problem) => {
                        tracing::error!("{problem}");
                        steering.remark(problem.clone());
                        return Ok(Outcome { wanted: desired.or(Some(digest)), ..Outcome::said(problem) });
                    }
                }
            }
            Self::Installed(_) | Self::None => return Ok(Outcome::default()),
        };
        let digest = ConfigDigest::of(&source);
        if record.is_withdrawn(digest) {
            // A supervisor starts the same words again and again: that is no wish to try it once more.
            tracing::error!(path = %path.display(), %digest,
                "the policy file is withdrawn: somebody went back from it, or it crashed twice; change it, or send SIGHUP");
            let problem = format!("`{}` is withdrawn and was not loaded", path.display());
            return Ok(Outcome { wanted: Some(digest), ..Outcome::said(problem) });
        }
        let asked = Asked::by(holding::user(), Action::Start);
        let outcome = steering.handle().order(asked, LocalChange::Load(source)).await;
        let error = match outcome {
            Ok(told) => return Ok(Outcome { observed: told.observed, ..Outcome::default() }),
            Err(error) => error,
        };
        let refused = not_loaded(&path, error);
        let Some(policy) = live.snapshot() else { return Err(refused) };
        tracing::error!(
            version = %policy.version,
            digest = %policy.digest,
            "the policy file is refused, serving what is on disk"
        );
        for line in refused.to_string().lines() {
            tracing::error!("{line}");
        }
        Ok(Outcome { wanted: Some(digest), ..Outcome::of(&refused) })
    }
}

// === impl Outcome ===

impl Outcome {
    /// What was refused, and by which stage.
    pub(super) fn of(error: &AppError) -> Self {
        match error {
            AppError::Refused { reason: NackReason { stage, reason, findings }, .. } => Self {
                reason: Some(reason.clone()),
                stage: Some(stage.to_string()),
                findings: findings.iter().map(Finding::from).collect(),
                ..Self::default()
            },
            error => Self::said(error.to_string()),
        }
    }

    pub(super) fn said(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }
}

/// Whether no process of this gateway has kept a standing yet, whole or spoiled. The beginning of a first one is none.
pub(super) fn is_new(place: &Place) -> bool {
    let Ok(mut entries) = std::fs::read_dir(place.dir()) else { return false };
    entries.all(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            !name.starts_with("standing.") || name.ends_with(durable::UNFINISHED)
        })
    })
}

/// The bytes that were installed, if they are what their name says.
fn installed(place: &Place, digest: ConfigDigest) -> Result<Vec<u8>, String> {
    const LARGEST: u64 = 1024 * 1024;
    let path = place.pack(digest);
    match durable::read(&path, LARGEST) {
        Ok(bytes) if ConfigDigest::of(&bytes) == digest => Ok(bytes),
        Ok(_) => Err(format!(
            "the installed pack `{}` is not what its name says; load one with `kt gateway reload`",
            path.display()
        )),
        Err(error) => Err(format!(
            "the installed pack `{}` cannot be read: {error}; load one with `kt gateway reload`",
            path.display()
        )),
    }
}
