//! Configs and their revisions.

use bytes::Bytes;
use fleet_core::version::{ConfigVersion, Revision};
use policy_config::ConfigDigest;
use policy_config::schema::{PackName, PackVersion};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::encode::{digest, revision};
use super::error::Column;
use super::{Page, Store, StoreError, page};

/// A stored revision without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRecord {
    pub version: ConfigVersion,
    pub author: String,
    pub note: String,
    pub at: OffsetDateTime,
}

/// A revision to store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRevision<'a> {
    pub config: &'a PackName,
    pub version: &'a PackVersion,
    pub digest: ConfigDigest,
    pub source: &'a [u8],
    pub author: &'a str,
    pub note: &'a str,
}

/// What a publisher needs to know of the stored revisions of a config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownRevisions {
    pub same_bytes: Option<Revision>,
    /// The newest with the same pack version and other bytes.
    pub same_version: Option<Revision>,
}

struct Row {
    name: String,
    revision: i64,
    version: String,
    digest: Vec<u8>,
    author: String,
    note: String,
    created_at: OffsetDateTime,
}

// === impl Row ===

impl Row {
    fn record(self) -> Result<ConfigRecord, StoreError> {
        Ok(ConfigRecord {
            version: ConfigVersion {
                config: self.name.parse().column("config_revisions.name")?,
                revision: revision(self.revision)?,
                version: self.version.parse().column("config_revisions.version")?,
                digest: digest(&self.digest)?,
            },
            author: self.author,
            note: self.note,
            at: self.created_at,
        })
    }
}

/// A revision with its bytes; `None` asks for the newest.
pub async fn config_get(
    store: &Store,
    config: &PackName,
    wanted: Option<Revision>,
) -> Result<Option<(ConfigRecord, Bytes)>, StoreError> {
    let wanted = wanted.map(|wanted| i64::try_from(wanted.0).unwrap_or(i64::MAX));
    let row = sqlx::query!(
        "select r.name, r.revision, r.version, r.digest, r.author, r.note, r.created_at, r.source
         from configs c join config_revisions r on r.name = c.name and r.revision = coalesce($2, c.head)
         where c.name = $1",
        config.as_str(),
        wanted
    )
    .fetch_optional(&store.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let source = Bytes::from(row.source);
    let record = Row {
        name: row.name,
        revision: row.revision,
        version: row.version,
        digest: row.digest,
        author: row.author,
        note: row.note,
        created_at: row.created_at,
    };
    Ok(Some((record.record()?, source)))
}

/// The newest revision of each config, by name.
pub async fn config_list(
    store: &Store,
    after: Option<&PackName>,
    limit: u32,
) -> Result<Page<ConfigRecord, PackName>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select r.name, r.revision, r.version, r.digest, r.author, r.note, r.created_at
         from configs c join config_revisions r on r.name = c.name and r.revision = c.head
         where $1::text is null or c.name > $1 order by c.name limit $2",
        after.map(PackName::as_str),
        i64::from(limit) + 1
    )
    .fetch_all(&store.pool())
    .await?;
    let items = rows.into_iter().map(Row::record).collect::<Result<Vec<_>, _>>()?;
    Ok(page(items, limit, |record| record.version.config.clone()))
}

/// The revisions of a config, newest first, below `before`.
pub async fn revision_list(
    store: &Store,
    config: &PackName,
    before: Option<Revision>,
    limit: u32,
) -> Result<Page<ConfigRecord, Revision>, StoreError> {
    let before = before.map_or(i64::MAX, |before| i64::try_from(before.0).unwrap_or(i64::MAX));
    let rows = sqlx::query_as!(
        Row,
        "select name, revision, version, digest, author, note, created_at from config_revisions
         where name = $1 and revision < $2 order by revision desc limit $3",
        config.as_str(),
        before,
        i64::from(limit) + 1
    )
    .fetch_all(&store.pool())
    .await?;
    let items = rows.into_iter().map(Row::record).collect::<Result<Vec<_>, _>>()?;
    Ok(page(items, limit, |record| record.version.revision))
}

/// The bytes of a digest, for parcels.
pub async fn source_by_digest(store: &Store, wanted: ConfigDigest) -> Result<Option<Bytes>, StoreError> {
    let source = sqlx::query_scalar!(
        "select source from config_revisions where digest = $1 limit 1",
        wanted.as_bytes().as_slice()
    )
    .fetch_optional(&store.pool())
    .await?;
    Ok(source.map(Bytes::from))
}

/// Names of configs, at most `limit`, to name in an error.
pub async fn config_names(store: &Store, limit: u32) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!("select name from configs order by name limit $1", i64::from(limit))
        .fetch_all(&store.pool())
        .await?)
}

/// Locks a config against other publishers, creating it when it is new; answers its newest revision.
pub(crate) async fn config_lock(
    conn: &mut PgConnection,
    config: &PackName,
) -> Result<Option<Revision>, StoreError> {
    let head = sqlx::query_scalar!(
        "insert into configs (name) values ($1) on conflict (name) do update set head = configs.head returning head",
        config.as_str()
    )
    .fetch_one(conn)
    .await?;
    if head == 0 { Ok(None) } else { revision(head).map(Some) }
}

/// Which stored revisions share these bytes or this pack version.
pub(crate) async fn revision_find(
    conn: &mut PgConnection,
    config: &PackName,
    wanted: ConfigDigest,
    version: &PackVersion,
) -> Result<KnownRevisions, StoreError> {
    let row = sqlx::query!(
        "select max(revision) filter (where digest = $2) as same_bytes,
                max(revision) filter (where digest <> $2) as same_version
         from config_revisions where name = $1 and (digest = $2 or version = $3)",
        config.as_str(),
        wanted.as_bytes().as_slice(),
        version.to_string()
    )
    .fetch_one(conn)
    .await?;
    Ok(KnownRevisions {
        same_bytes: row.same_bytes.map(revision).transpose()?,
        same_version: row.same_version.map(revision).transpose()?,
    })
}

/// Stores the next revision of a locked config.
pub(crate) async fn revision_insert(
    conn: &mut PgConnection,
    new: NewRevision<'_>,
) -> Result<Revision, StoreError> {
    let number = sqlx::query_scalar!(
        "with next as (update configs set head = head + 1 where name = $1 returning head)
         insert into config_revisions (name, revision, version, digest, source, author, note)
         select $1, head, $2, $3, $4, $5, $6 from next returning revision",
        new.config.as_str(),
        new.version.to_string(),
        new.digest.as_bytes().as_slice(),
        new.source,
        new.author,
        new.note
    )
    .fetch_one(conn)
    .await?;
    revision(number)
}

/// One revision with its bytes, inside a transaction.
pub(crate) async fn revision_get(
    conn: &mut PgConnection,
    config: &PackName,
    wanted: Revision,
) -> Result<Option<(ConfigVersion, Vec<u8>)>, StoreError> {
    let row = sqlx::query!(
        "select version, digest, source from config_revisions where name = $1 and revision = $2",
        config.as_str(),
        i64::try_from(wanted.0).unwrap_or(i64::MAX)
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let version = ConfigVersion {
        config: config.clone(),
        revision: wanted,
        version: row.version.parse().column("config_revisions.version")?,
        digest: digest(&row.digest)?,
    };
    Ok(Some((version, row.source)))
}
