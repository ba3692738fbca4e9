//! What is said over a gateway's door, and what scripts read of it: the JSON of `status`, of a change and of an error.
//!
//! Fields may be added, never renamed. Times are RFC 3339 UTC, digests `sha256:…`.

use policy_config::location::Location;
use policy_config::{ConfigDigest, Severity};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::history::Action;

/// The routes, the same on the unix socket and (guarded) on the data port.
pub mod routes {
    /// GET: [`super::Status`].
    pub const STATUS: &str = "/keeptrusts/config";
    /// POST [`super::ReloadRequest`]: the [`crate::HistoryRecord`] of it.
    pub const RELOAD: &str = "/keeptrusts/config/reload";
    /// POST [`super::RevertRequest`]: the [`crate::HistoryRecord`] of it.
    pub const REVERT: &str = "/keeptrusts/config/revert";
    /// POST [`super::UnpinRequest`]: the [`super::Status`] after it.
    pub const UNPIN: &str = "/keeptrusts/config/unpin";
    /// POST, on the unix socket alone, by the process that takes over: the line `{"released":true}`, in a body that
    /// stays open for as long as that process lives.
    pub const HAND_OVER: &str = "/keeptrusts/handover";
}

/// Where packs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Local,
    ControlPlane,
}

/// `{revision?, generation?, version, digest, at}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The author's; `null` for bytes that do not parse.
    pub version: Option<String>,
    #[serde(with = "crate::text::shown")]
    pub digest: ConfigDigest,
    /// Desired: since when. Observed: when it was swapped in.
    #[serde(with = "crate::text::time")]
    pub at: OffsetDateTime,
}

/// `{version, digest}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVersion {
    pub version: String,
    #[serde(with = "crate::text::shown")]
    pub digest: ConfigDigest,
}

/// What a gateway runs and should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub name: String,
    pub source: Source,
    pub running: bool,
    /// The process that serves.
    pub pid: Option<u32>,
    /// Where it listens.
    pub listen: Option<String>,
    pub ready: bool,
    pub pinned: bool,
    pub desired: Option<Version>,
    pub observed: Option<Version>,
    /// Desired and observed have the same digest.
    pub in_sync: bool,
    /// What a revert goes to, the newest first; the running pack is one of them if it is good. Beyond them, where none
    /// is left below the running one, a revert goes to a pack of this host that ended its gateway once and is not
    /// withdrawn, and its record carries the warning `H002`.
    pub good: Vec<KeptVersion>,
    /// Left by a revert or for crashing: no target until it is loaded again.
    #[serde(default)]
    pub withdrawn: Vec<KeptVersion>,
    /// Of the desired version, until it is replaced or withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// What was spoiled in the directory, and what was done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Of a managed gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<LinkStatus>,
    /// The release that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
}

/// How the remark begins that tells of a target whose key is not on the host; the target and the reason follow.
const TARGET_DOWN: &str = "target down: ";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    pub url: String,
    pub fleet: String,
    pub connected: bool,
}

/// `{at, action, stage, reason, findings[]}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    #[serde(with = "crate::text::time")]
    pub at: OffsetDateTime,
    pub action: Action,
    pub stage: String,
    pub reason: String,
    pub findings: Vec<Finding>,
}

/// `{code, severity, path, line, column, message, suggestion}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: String,
    pub severity: String,
    pub path: String,
    pub line: u32,
    pub column: u32,
    pub message: String,
    pub suggestion: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Relative to the gateway's working directory.
    pub config_path: String,
    /// Change a managed gateway here on its host, and pin it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// For the history; asked for with `break_glass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevertRequest {
    /// As of [`ReloadRequest`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnpinRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `{error{code, message, stage?, hint?, findings[]?}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    pub error: ErrorBody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub code: ErrorCode,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Why an order was not carried out. Nothing has changed then but, where bytes were read, what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request itself is not valid.
    InvalidRequest,
    /// The path leads out of the working directory, or to what is no regular file.
    PathRefused,
    FileNotFound,
    /// It is there and cannot be read.
    FileUnreadable,
    /// It is there, and the gateway's user may not read it.
    FileForbidden,
    /// Refused at stage verify or lint.
    InvalidPack,
    /// Refused at a later stage.
    ActivationFailed,
    NothingToRevert,
    /// Packs come from a control plane, and the order did not break the glass.
    Managed,
    /// The gateway is ending; ask again.
    Stopping,
    /// A new process of the gateway takes over; ask again, and it answers.
    HandingOver,
    /// More are at the door than it serves at once; ask again.
    Busy,
}

// === impl Status ===

impl Status {
    /// The remark of a target that answers 503 `target_down`, and why.
    pub fn target_down(target: &str, why: &str) -> String {
        format!("{TARGET_DOWN}{target}: {why}")
    }

    /// Targets that are down, each with the reason.
    pub fn targets_down(&self) -> impl Iterator<Item = (&str, &str)> {
        self.remarks.iter().filter_map(|remark| remark.strip_prefix(TARGET_DOWN)?.split_once(": "))
    }
}

// === impl ErrorCode ===

impl ErrorCode {
    /// Of the one table of exit codes.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::InvalidRequest | Self::PathRefused | Self::FileUnreadable | Self::InvalidPack => 2,
            Self::FileNotFound => 3,
            Self::FileForbidden => 4,
            Self::ActivationFailed => 1,
            Self::NothingToRevert | Self::Managed => 6,
            Self::Stopping | Self::HandingOver | Self::Busy => 5,
        }
    }

    /// The HTTP status it travels with.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::PathRefused | Self::FileUnreadable => 400,
            Self::FileForbidden => 403,
            Self::FileNotFound => 404,
            Self::InvalidPack | Self::ActivationFailed => 422,
            Self::NothingToRevert | Self::Managed => 409,
            Self::Stopping | Self::HandingOver | Self::Busy => 503,
        }
    }
}

// === impl Finding ===

impl From<&policy_config::Finding> for Finding {
    fn from(finding: &policy_config::Finding) -> Self {
        Self {
            code: finding.code.clone(),
            severity: finding.severity.as_str().to_owned(),
            path: finding.path.clone(),
            line: finding.location.line,
            column: finding.location.column,
            message: finding.message.clone(),
            suggestion: finding.suggestion.clone(),
        }
    }
}

impl From<&Finding> for policy_config::Finding {
    fn from(finding: &Finding) -> Self {
        let is_warning = finding.severity == Severity::Warning.as_str();
        Self {
            code: finding.code.clone(),
            severity: if is_warning { Severity::Warning } else { Severity::Error },
            path: finding.path.clone(),
            location: Location { line: finding.line, column: finding.column },
            message: finding.message.clone(),
            suggestion: finding.suggestion.clone(),
        }
    }
}
