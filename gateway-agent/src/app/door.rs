//! The way in for this host; without it traffic is served all the same.

use std::net::SocketAddr;
use std::sync::Arc;

use service_kit::clock::Clock;
use service_kit::readiness::Readiness;

use crate::activation::handle::ActivatorHandle;
use crate::activation::live::LivePolicy;
use crate::admin::{self, Admin, Door};
use crate::holding::Holding;
use crate::settings::Settings;

/// What cannot be had is warned about.
pub(super) fn open(
    settings: &Settings,
    instance: &Holding,
    listen: SocketAddr,
    live: &LivePolicy,
    handle: &ActivatorHandle,
    readiness: &Readiness,
    clock: &Clock,
) -> (Arc<Admin>, Option<Door>) {
    let parts = admin::Parts {
        source: settings.source_word(),
        listen,
        working_dir: settings.working_dir.clone(),
        live: live.clone(),
        readiness: readiness.clone(),
        clock: clock.clone(),
        link: None,
    };
    let admin = Arc::new(Admin::new(instance.place(), handle.clone(), parts));
    let door = Door::bind(instance.place()).inspect_err(|error| {
        let path = instance.place().admin_socket();
        tracing::warn!(path = %path.display(), %error, "no admin socket: `kt gateway` cannot reach this gateway");
    });
    (admin, door.ok())
}
