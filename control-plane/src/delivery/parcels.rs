//! The bytes of packs, loaded once a digest and shared by all streams that send them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use policy_config::ConfigDigest;
use proto::v1;
use tokio::sync::OnceCell;

use crate::store::configs::source_by_digest;
use crate::store::{Store, StoreError};

/// A fleet runs few packs at a time, each of at most 256 KiB.
const KEPT: usize = 32;

/// The newest parcels, newest use last.
#[derive(Debug)]
pub(crate) struct Parcels {
    store: Store,
    kept: Mutex<VecDeque<(ConfigDigest, Arc<OnceCell<v1::Parcel>>)>>,
}

// === impl Parcels ===

impl Parcels {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, kept: Mutex::default() }
    }

    /// The parcel of a digest; whoever asks while it is being loaded waits for that one load.
    pub(crate) async fn get(&self, digest: ConfigDigest) -> Result<v1::Parcel, StoreError> {
        let cell = self.cell(digest);
        let load = || async {
            let source = source_by_digest(&self.store, digest).await?;
            let source = source.ok_or(StoreError::NotFound { what: "pack of that digest" })?;
            Ok(v1::Parcel { digest: digest.to_string(), source })
        };
        cell.get_or_try_init(|| self.store.while_there(load())).await.cloned()
    }

    /// Has the bytes of these digests at hand, of those that are named most often if there is no room for all: when
    /// the database is away, a gateway that needs them gets them all the same.
    pub(crate) async fn load_most_wanted(&self, digests: &[ConfigDigest]) {
        let mut times: HashMap<ConfigDigest, usize> = HashMap::new();
        for digest in digests {
            *times.entry(*digest).or_default() += 1;
        }
        let mut wanted: Vec<(usize, ConfigDigest)> =
            times.into_iter().map(|(digest, times)| (times, digest)).collect();
        wanted.sort_by_key(|(times, _)| *times);
        let spare = wanted.len().saturating_sub(KEPT);
        for (_, digest) in wanted.into_iter().skip(spare) {
            if let Err(error) = self.get(digest).await {
                tracing::debug!(%error, %digest, "the bytes of a desired version are not at hand");
            }
        }
    }

    fn cell(&self, digest: ConfigDigest) -> Arc<OnceCell<v1::Parcel>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(other, _)| *other == digest);
        let found = place.and_then(|place| kept.remove(place));
        let entry = found.unwrap_or_else(|| (digest, Arc::default()));
        let cell = entry.1.clone();
        kept.push_back(entry);
        if kept.len() > KEPT {
            kept.pop_front();
        }
        cell
    }
}
