//! What each gateway should run, for those who send it.

use fleet_core::ids::GatewayId;
use fleet_core::version::DesiredVersion;

use super::encode::{digest, generation, revision};
use super::{Store, StoreError};

/// A place in the order of changes; 0 is before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ChangeMark(pub i64);

/// Everything that changed after `since`, each gateway once, and the mark to continue from. One statement, whatever
/// the size of the fleet; nothing that commits late is ever below the mark.
pub async fn desired_since(
    store: &Store,
    since: ChangeMark,
) -> Result<(Vec<(GatewayId, DesiredVersion)>, ChangeMark), StoreError> {
    let rows = sqlx::query!(
        "select gateway, revision, generation, digest, change from desired_versions where change > $1",
        since.0
    )
    .fetch_all(&store.pool())
    .await?;
    let mut mark = since;
    let mut changed = Vec::with_capacity(rows.len());
    for row in rows {
        mark = mark.max(ChangeMark(row.change));
        let desired = DesiredVersion {
            revision: revision(row.revision)?,
            generation: generation(row.generation)?,
            digest: digest(&row.digest)?,
        };
        changed.push((GatewayId(row.gateway), desired));
    }
    Ok((changed, mark))
}
