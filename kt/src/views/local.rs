//! The gateways of this host as JSON; what they say of themselves is JSON already.

use instance::documents::{Source, Status};
use serde::Serialize;

use crate::instances::Found;

/// `{name, source, running, listen, version}`: the version is the pack's that it runs, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LocalGatewayView {
    pub(crate) name: String,
    pub(crate) source: Option<Source>,
    pub(crate) running: bool,
    pub(crate) listen: Option<String>,
    pub(crate) version: Option<String>,
}

// === impl LocalGatewayView ===

impl LocalGatewayView {
    /// `status`: `None` where it cannot be told.
    pub(crate) fn of(found: &Found, status: Option<&Status>) -> Self {
        let description = found.description.as_ref().ok();
        let version = status.and_then(|status| status.observed.as_ref().or(status.desired.as_ref()));
        Self {
            name: found.name().to_owned(),
            source: status.map(|status| status.source).or(description.map(|found| found.source)),
            running: status.map_or_else(|| found.is_served(), |status| status.running),
            listen: status
                .and_then(|status| status.listen.clone())
                .or_else(|| description.map(|found| found.listen.clone())),
            version: version.and_then(|version| version.version.clone()),
        }
    }
}
