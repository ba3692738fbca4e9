//! What each gateway should run, for those who send it.

use fleet_core::ids::GatewayId;
use fleet_core::version::DesiredVersion;

use super::encode::{digest, generation, revision};
use super::{Store, StoreError};

/// A place in the order of changes; 0 is before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ChangeMark(pub i64);

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Each gateway once.
    pub desired: Vec<(GatewayId, DesiredVersion)>,
    /// Where to go on from.
    pub mark: ChangeMark,
    /// The database has not come as far as the mark: it was restored from a backup, and what was read before it may
    /// never have been.
    pub went_back: bool,
}

/// Everything that changed after `since`. One statement, whatever the size of the fleet; nothing that commits late is
/// ever below the mark.
pub async fn desired_since(store: &Store, since: ChangeMark) -> Result<Changes, StoreError> {
    let rows = sqlx::query!(
        r#"select h.change as head, d.gateway as "gateway?", d.revision as "revision?",
                  d.generation as "generation?", d.digest as "digest?"
           from desired_head h left join desired_versions d on d.change > $1"#,
        since.0
    )
    .fetch_all(&store.pool())
    .await?;
    let mut changes = Changes::default();
    for row in rows {
        // The same in every row; there is one at least.
        changes.mark = ChangeMark(row.head);
        changes.went_back = changes.mark < since;
        let (Some(gateway), Some(number), Some(ordinal), Some(bytes)) =
            (row.gateway, row.revision, row.generation, row.digest)
        else {
            continue;
        };
        let desired = DesiredVersion {
            revision: revision(number)?,
            generation: generation(ordinal)?,
            digest: digest(&bytes)?,
        };
        changes.desired.push((GatewayId(gateway), desired));
    }
    Ok(changes)
}
