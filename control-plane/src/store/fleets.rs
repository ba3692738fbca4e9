//! Fleets: the config each is bound to and its stable revision.

use fleet_core::gateway::FleetName;
use fleet_core::version::{ConfigVersion, Revision};
use policy_config::schema::PackName;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use super::encode::{count, digest, number, revision};
use super::error::Column;
use super::{Page, Store, StoreError, page};

/// One fleet as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetView {
    pub name: FleetName,
    /// What it is bound to; `None` until its first rollout.
    pub stable: Option<StableView>,
    pub gateways: u32,
    pub created_at: OffsetDateTime,
}

/// The revision that new gateways get. Its config is the one the fleet is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StableView {
    pub version: ConfigVersion,
    pub by: StableBy,
    pub at: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StableBy {
    /// The fleet's first rollout names it; nothing succeeded yet.
    Declared,
    /// A rollout over the whole fleet succeeded.
    Succeeded,
}

/// A fleet's binding, as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    pub config: PackName,
    pub stable: Revision,
    pub by: StableBy,
    pub at: OffsetDateTime,
}

struct Row {
    name: String,
    config: Option<String>,
    stable_revision: Option<i64>,
    stable_by: Option<String>,
    stable_at: Option<OffsetDateTime>,
    version: Option<String>,
    digest: Option<Vec<u8>>,
    gateways: i64,
    created_at: OffsetDateTime,
}

// === impl StableBy ===

impl StableBy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Succeeded => "succeeded",
        }
    }

    pub(super) fn from_word(word: &str) -> Result<Self, StoreError> {
        match word {
            "declared" => Ok(Self::Declared),
            "succeeded" => Ok(Self::Succeeded),
            _ => Err(StoreError::corrupt("fleets.stable_by")),
        }
    }
}

// === impl Row ===

impl Row {
    fn view(self) -> Result<FleetView, StoreError> {
        let stable = match (self.config, self.stable_revision, self.stable_by, self.stable_at) {
            (Some(config), Some(stable), Some(by), Some(at)) => Some(StableView {
                version: ConfigVersion {
                    config: config.parse().column("fleets.config")?,
                    revision: revision(stable)?,
                    version: self
                        .version
                        .column("config_revisions.version")?
                        .parse()
                        .column("fleets.stable")?,
                    digest: digest(&self.digest.column("config_revisions.digest")?)?,
                },
                by: StableBy::from_word(&by)?,
                at,
            }),
            _ => None,
        };
        Ok(FleetView {
            name: self.name.parse().column("fleets.name")?,
            stable,
            gateways: count(self.gateways),
            created_at: self.created_at,
        })
    }
}

pub async fn fleet_get(store: &Store, fleet: &FleetName) -> Result<Option<FleetView>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select f.name, f.config, f.stable_revision, f.stable_by, f.stable_at, f.created_at,
                  r.version as "version?", r.digest as "digest?",
                  (select count(*) from gateways g where g.fleet = f.name) as "gateways!"
           from fleets f left join config_revisions r on r.name = f.config and r.revision = f.stable_revision
           where f.name = $1"#,
        fleet.as_str()
    )
    .fetch_optional(&store.pool())
    .await?;
    row.map(Row::view).transpose()
}

/// Fleets by name.
pub async fn fleet_list(
    store: &Store,
    after: Option<&FleetName>,
    limit: u32,
) -> Result<Page<FleetView, FleetName>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select f.name, f.config, f.stable_revision, f.stable_by, f.stable_at, f.created_at,
                  r.version as "version?", r.digest as "digest?",
                  (select count(*) from gateways g where g.fleet = f.name) as "gateways!"
           from fleets f left join config_revisions r on r.name = f.config and r.revision = f.stable_revision
           where $1::text is null or f.name > $1 order by f.name limit $2"#,
        after.map(FleetName::as_str),
        i64::from(limit) + 1
    )
    .fetch_all(&store.pool())
    .await?;
    let items = rows.into_iter().map(Row::view).collect::<Result<Vec<_>, _>>()?;
    Ok(page(items, limit, |fleet| fleet.name.clone()))
}

/// Names of fleets, at most `limit`, to name in an error.
pub async fn fleet_names(store: &Store, limit: u32) -> Result<Vec<String>, StoreError> {
    fleet_names_in(&store.pool(), limit).await
}

/// The same inside a transaction.
pub(crate) async fn fleet_names_in(
    executor: impl PgExecutor<'_>,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!("select name from fleets order by name limit $1", i64::from(limit))
        .fetch_all(executor)
        .await?)
}

/// Makes a fleet; a taken name is a conflict.
pub(crate) async fn fleet_insert(conn: &mut PgConnection, fleet: &FleetName) -> Result<(), StoreError> {
    sqlx::query!("insert into fleets (name) values ($1)", fleet.as_str()).execute(conn).await?;
    Ok(())
}

/// Locks a fleet against everybody who decides about it; `None` inside: it is bound to nothing yet.
pub(crate) async fn fleet_lock(
    conn: &mut PgConnection,
    fleet: &FleetName,
) -> Result<Option<Option<Binding>>, StoreError> {
    let row = sqlx::query!(
        "select config, stable_revision, stable_by, stable_at from fleets where name = $1 for update",
        fleet.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| binding(row.config, row.stable_revision, row.stable_by, row.stable_at)).transpose()
}

/// Like [`fleet_lock`], but many gateways may be placed at the same time.
pub(crate) async fn fleet_lock_shared(
    conn: &mut PgConnection,
    fleet: &FleetName,
) -> Result<Option<Option<Binding>>, StoreError> {
    let row = sqlx::query!(
        "select config, stable_revision, stable_by, stable_at from fleets where name = $1 for share",
        fleet.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| binding(row.config, row.stable_revision, row.stable_by, row.stable_at)).transpose()
}

/// Binds a fleet to a config with this stable revision, from now on.
pub(crate) async fn fleet_bind(
    conn: &mut PgConnection,
    fleet: &FleetName,
    config: &PackName,
    stable: Revision,
    by: StableBy,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update fleets set config = $2, stable_revision = $3, stable_by = $4, stable_at = now() where name = $1",
        fleet.as_str(),
        config.as_str(),
        number(stable.0),
        by.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A binding from its columns.
pub(super) fn binding(
    config: Option<String>,
    stable: Option<i64>,
    by: Option<String>,
    at: Option<OffsetDateTime>,
) -> Result<Option<Binding>, StoreError> {
    let (Some(config), Some(stable), Some(by), Some(at)) = (config, stable, by, at) else { return Ok(None) };
    Ok(Some(Binding {
        config: config.parse().column("fleets.config")?,
        stable: revision(stable)?,
        by: StableBy::from_word(&by)?,
        at,
    }))
}
