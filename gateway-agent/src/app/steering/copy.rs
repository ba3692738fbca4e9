//! The bytes of the pack that runs, in memory: should the disk lose them while another process steers, this one can
//! give them back.

use std::sync::Arc;

use policy_config::ConfigDigest;
use service_kit::drain::DrainWatcher;

use crate::activation::handle::ActivatorHandle;
use crate::activation::ledger::Ledger;

/// A pack and who it is.
pub(super) type Copy = Option<(ConfigDigest, Vec<u8>)>;

/// Reads each pack as it becomes active, when its bytes were just written or found whole. Answers the last one when the
/// drain begins.
pub(super) async fn keep(handle: ActivatorHandle, ledger: Ledger, drain: DrainWatcher) -> Copy {
    let (mut records, ledger) = (handle.watch(), Arc::new(ledger));
    let mut copy: Copy = None;
    loop {
        let active = records.borrow_and_update().active;
        if active != copy.as_ref().map(|(digest, _)| *digest) {
            copy = read(active, Arc::clone(&ledger)).await;
        }
        if drain.is_draining() {
            return copy;
        }
        tokio::select! {
            () = drain.signaled() => {}
            changed = records.changed() => if changed.is_err() { return copy },
        }
    }
}

async fn read(active: Option<ConfigDigest>, ledger: Arc<Ledger>) -> Copy {
    let digest = active?;
    let source = tokio::task::spawn_blocking(move || ledger.pack(digest)).await.ok()?.ok().flatten()?;
    Some((digest, source))
}
