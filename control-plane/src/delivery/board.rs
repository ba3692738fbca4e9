//! Gateway → cell with its newest desired version. One reader fills all cells after a wake-up, with one query for
//! all that changed; a slow stream finds only the newest version in its cell. Cells outlive their streams: while the
//! database is away, a stream that opens finds here what its gateway should run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_core::ids::GatewayId;
use fleet_core::version::DesiredVersion;
use policy_config::ConfigDigest;
use service_kit::drain::DrainWatcher;
use tokio::sync::watch;

use super::parcels::Parcels;
use crate::store::desired::{ChangeMark, desired_since};
use crate::store::wakeup::WakeListener;
use crate::store::{Store, StoreError};

/// A lost wake-up costs this much latency and nothing else.
const POLL: Duration = Duration::from_secs(2);

/// A cell for each gateway that should run something or is connected here.
#[derive(Debug, Default)]
pub(crate) struct Board {
    cells: Mutex<HashMap<GatewayId, watch::Sender<Option<DesiredVersion>>>>,
}

// === impl Board ===

impl Board {
    /// The gateway's cell. Watch it first and read the store afterwards: then no change falls between.
    pub(crate) fn watch(&self, gateway: GatewayId) -> watch::Receiver<Option<DesiredVersion>> {
        self.lock().entry(gateway).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    /// Puts a version into the gateway's cell, unless a newer one is in it.
    pub(crate) fn fill(&self, gateway: GatewayId, desired: DesiredVersion) {
        let mut cells = self.lock();
        let cell = cells.entry(gateway).or_insert_with(|| watch::Sender::new(None));
        cell.send_if_modified(|held| {
            let newer = held.is_none_or(|held| held.generation < desired.generation);
            if newer {
                *held = Some(desired);
            }
            newer
        });
    }

    /// Drops the cell when it is empty and nobody watches it any more.
    pub(crate) fn forget(&self, gateway: GatewayId) {
        let mut cells = self.lock();
        if cells.get(&gateway).is_some_and(|cell| cell.is_closed() && cell.borrow().is_none()) {
            cells.remove(&gateway);
        }
    }

    /// Forgets everything. Streams end, and ask anew when they come back.
    fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GatewayId, watch::Sender<Option<DesiredVersion>>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills the cells until the drain begins, and has the bytes that newly are in them loaded.
pub(crate) async fn run(
    board: Arc<Board>,
    parcels: Arc<Parcels>,
    store: Store,
    mut wake: WakeListener,
    drain: DrainWatcher,
) {
    let mut marker = ChangeMark::default();
    let mut away = false;
    loop {
        match fill_changed(&board, &store, marker).await {
            Ok((changed, reached)) => {
                marker = reached;
                away = false;
                let loading = parcels.load_most_wanted(&changed);
                tokio::select! {
                    () = drain.signaled() => return,
                    () = loading => {}
                }
            }
            Err(error) => {
                if !away {
                    tracing::warn!(%error, "desired versions cannot be read; streams keep what they have");
                }
                away = true;
            }
        }
        tokio::select! {
            () = drain.signaled() => return,
            () = wake.woken() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Answers the digests that were put into cells, as often as they were.
async fn fill_changed(
    board: &Board,
    store: &Store,
    marker: ChangeMark,
) -> Result<(Vec<ConfigDigest>, ChangeMark), StoreError> {
    let mut changes = store.while_there(desired_since(store, marker)).await?;
    if changes.went_back {
        tracing::warn!(
            "the database was restored from a backup under this control plane; every gateway is asked anew"
        );
        board.clear();
        changes = store.while_there(desired_since(store, ChangeMark::default())).await?;
    }
    for (gateway, desired) in &changes.desired {
        board.fill(*gateway, *desired);
    }
    Ok((changes.desired.into_iter().map(|(_, desired)| desired.digest).collect(), changes.mark))
}

#[cfg(test)]
mod tests {
    use fleet_core::version::{Generation, Revision};
    use uuid::Uuid;

    use super::*;

    fn desired(generation: u64) -> DesiredVersion {
        DesiredVersion {
            revision: Revision(1),
            generation: Generation(generation),
            digest: ConfigDigest::of(b"x"),
        }
    }

    #[test]
    fn a_cell_holds_the_newest_and_never_goes_back() {
        let board = Board::default();
        let gateway = GatewayId(Uuid::from_u128(1));
        board.fill(gateway, desired(1));
        let mut cell = board.watch(gateway);
        assert_eq!(*cell.borrow_and_update(), Some(desired(1)));
        for generation in [2, 5, 3] {
            board.fill(gateway, desired(generation));
        }
        assert!(cell.has_changed().unwrap());
        assert_eq!(*cell.borrow_and_update(), Some(desired(5)));
        board.fill(gateway, desired(5));
        assert!(!cell.has_changed().unwrap());
    }

    #[test]
    fn an_empty_cell_lives_as_long_as_somebody_watches_and_a_filled_one_longer() {
        let board = Board::default();
        let gateway = GatewayId(Uuid::from_u128(1));
        let (one, two) = (board.watch(gateway), board.watch(gateway));
        drop(one);
        board.forget(gateway);
        assert_eq!(board.lock().len(), 1);
        drop(two);
        board.forget(gateway);
        assert_eq!(board.lock().len(), 0);
        board.fill(gateway, desired(1));
        board.forget(gateway);
        assert_eq!(*board.watch(gateway).borrow(), Some(desired(1)));
    }
}
