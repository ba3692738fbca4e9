//! The gateways of this host as JSON; what they say of themselves is JSON already.

use instance::documents::{Source, Status};
use serde::Serialize;

use crate::instances::Found;
use crate::instances::look::{Looked, Phase};
use crate::supervisor::supervision::Supervision;

/// What `kt gateway status --json` prints: the gateway's own word, and its supervisor's.
#[derive(Debug, Serialize)]
pub(crate) struct LookView<'a> {
    #[serde(flatten)]
    status: &'a Status,
    /// `{state, pid, reason, restarts, next_try}`; absent where nobody supervises it.
    #[serde(skip_serializing_if = "Option::is_none")]
    supervisor: Option<&'a Supervision>,
}

/// One word for where a gateway is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateWord {
    Running,
    Starting,
    Restarting,
    Stopping,
    Stopped,
    /// What it keeps cannot be used.
    Spoiled,
}

/// `{name, source, running, state, listen, version, problem?}`: the version is the pack's that it runs, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LocalGatewayView {
    pub(crate) name: String,
    pub(crate) source: Option<Source>,
    pub(crate) running: bool,
    pub(crate) state: StateWord,
    pub(crate) listen: Option<String>,
    pub(crate) version: Option<String>,
    /// Why it is to be started again, or what is spoiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

// === impl LookView ===

impl<'a> LookView<'a> {
    pub(crate) const fn of(looked: &'a Looked) -> Self {
        Self { status: &looked.status, supervisor: looked.supervision.as_ref() }
    }
}

// === impl LocalGatewayView ===

impl LocalGatewayView {
    /// `looked`: `None` where it cannot be told.
    pub(crate) fn of(found: &Found, looked: Option<&Looked>) -> Self {
        let description = found.description.as_ref().ok();
        let status = looked.map(|looked| &looked.status);
        let running = status.map_or_else(|| found.is_served(), |status| status.running);
        let supervision = looked.and_then(|looked| looked.supervision.as_ref());
        let spoiled = found.description.as_ref().err().cloned();
        let state = match looked.map(|looked| looked.phase) {
            Some(Phase::Running { .. }) => StateWord::Running,
            Some(Phase::Starting) => StateWord::Starting,
            Some(Phase::Restarting) => StateWord::Restarting,
            Some(Phase::Stopping) => StateWord::Stopping,
            Some(Phase::Stopped) | None if spoiled.is_some() => StateWord::Spoiled,
            Some(Phase::Stopped) => StateWord::Stopped,
            None if running => StateWord::Running,
            None => StateWord::Stopped,
        };
        let version = status.and_then(|status| status.observed.as_ref().or(status.desired.as_ref()));
        Self {
            name: found.name().to_owned(),
            source: status.map(|status| status.source).or(description.map(|found| found.source)),
            running,
            state,
            listen: status
                .and_then(|status| status.listen.clone())
                .or_else(|| description.map(|found| found.listen.clone())),
            version: version.and_then(|version| version.version.clone()),
            problem: spoiled.or_else(|| supervision.and_then(|supervision| supervision.reason.clone())),
        }
    }
}
