//! The history: facts in commit order, each with a gapless number.

use fleet_core::gateway::{FleetName, GatewayName, GatewayPath};
use fleet_core::history::{Cursor, EventKind};
use fleet_core::ids::GatewayId;
use fleet_core::version::{Generation, Revision};
use policy_config::ConfigDigest;
use policy_config::schema::PackName;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::encode::{digest, generation, number, revision};
use super::error::Column;
use super::{Store, StoreError};

/// One fact as readers see it. Text that does not apply is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct EventView {
    pub cursor: Cursor,
    pub at: OffsetDateTime,
    pub kind: EventKind,
    pub actor: String,
    pub fleet: String,
    /// `FLEET/NAME`
    pub gateway: String,
    pub config: String,
    pub revision: Option<Revision>,
    pub generation: Option<Generation>,
    pub version: String,
    pub digest: Option<ConfigDigest>,
    pub outcome: String,
    pub reason: String,
    pub detail: Value,
}

/// Which events; every given part must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    pub fleet: Option<FleetName>,
    /// Of any fleet, unless `fleet` is given too.
    pub gateway: Option<GatewayName>,
    pub config: Option<PackName>,
    /// Any of these; empty: all.
    pub kinds: Vec<EventKind>,
    pub since: Option<OffsetDateTime>,
}

/// Events oldest first, and the place up to which everything was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    pub events: Vec<EventView>,
    /// Continue after this; also set when there are no events.
    pub next: Cursor,
    /// There are more events to read now.
    pub more: bool,
}

/// What a gateway ran at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForceView {
    pub config: String,
    pub revision: Revision,
    pub generation: Generation,
    pub version: String,
    pub digest: ConfigDigest,
    pub since: OffsetDateTime,
}

/// A fact to append; its time is the database's.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent<'a> {
    pub kind: EventKind,
    pub actor: &'a str,
    pub fleet: Option<&'a FleetName>,
    pub gateway: Option<(GatewayId, &'a GatewayPath)>,
    pub config: Option<&'a PackName>,
    pub revision: Option<Revision>,
    pub version: String,
    pub digest: Option<ConfigDigest>,
    pub outcome: &'a str,
    pub reason: &'a str,
    pub detail: Value,
}

struct Row {
    seq: i64,
    at: OffsetDateTime,
    kind: String,
    actor: String,
    fleet: Option<String>,
    gateway: Option<String>,
    config: Option<String>,
    revision: Option<i64>,
    generation: Option<i64>,
    version: Option<String>,
    digest: Option<Vec<u8>>,
    outcome: String,
    reason: String,
    detail: Value,
}

// === impl NewEvent ===

impl<'a> NewEvent<'a> {
    pub(crate) fn new(kind: EventKind, actor: &'a str) -> Self {
        Self {
            kind,
            actor,
            fleet: None,
            gateway: None,
            config: None,
            revision: None,
            version: String::new(),
            digest: None,
            outcome: "",
            reason: "",
            detail: Value::Object(serde_json::Map::new()),
        }
    }
}

// === impl Row ===

impl Row {
    fn view(self) -> Result<EventView, StoreError> {
        let gateway = match (&self.fleet, &self.gateway) {
            (Some(fleet), Some(gateway)) => format!("{fleet}/{gateway}"),
            _ => String::new(),
        };
        Ok(EventView {
            cursor: cursor(self.seq),
            at: self.at,
            kind: EventKind::from_word(&self.kind).column("history.kind")?,
            actor: self.actor,
            fleet: self.fleet.unwrap_or_default(),
            gateway,
            config: self.config.unwrap_or_default(),
            revision: self.revision.map(revision).transpose()?,
            generation: self.generation.map(generation).transpose()?,
            version: self.version.unwrap_or_default(),
            digest: self.digest.as_deref().map(digest).transpose()?,
            outcome: self.outcome,
            reason: self.reason,
            detail: self.detail,
        })
    }
}

/// The newest committed place; 0 when nothing ever happened.
pub async fn event_head(store: &Store) -> Result<Cursor, StoreError> {
    Ok(cursor(sqlx::query_scalar!("select seq from history_head").fetch_one(&store.pool()).await?))
}

/// Events after a cursor, oldest first, at most `limit`: for pages, and for tails, which ask again from `next`.
pub async fn event_list(
    store: &Store,
    filter: &EventFilter,
    after: Cursor,
    limit: u32,
) -> Result<EventPage, StoreError> {
    // Everything up to the head was committed with it or before it: nothing can appear there later.
    let head = event_head(store).await?;
    let kinds = words(filter);
    let rows = sqlx::query_as!(
        Row,
        "select seq, at, kind, actor, fleet, gateway, config, revision, generation, version, digest, outcome, reason,
                detail
         from history
         where seq > $1 and seq <= $2 and ($3::text is null or fleet = $3) and ($4::text is null or gateway = $4)
             and ($5::text is null or config = $5) and ($6::text[] is null or kind = any($6))
             and ($7::timestamptz is null or at >= $7)
         order by seq limit $8",
        number(after.0),
        number(head.0),
        filter.fleet.as_ref().map(FleetName::as_str),
        filter.gateway.as_ref().map(GatewayName::as_str),
        filter.config.as_ref().map(PackName::as_str),
        kinds.as_deref(),
        filter.since,
        i64::from(limit) + 1
    )
    .fetch_all(&store.pool())
    .await?;
    let mut events = rows.into_iter().map(Row::view).collect::<Result<Vec<_>, _>>()?;
    let more = events.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = match events.last() {
        Some(last) if more => last.cursor,
        // A cursor from another lineage may lie beyond the head: it stays where it is.
        Some(_) | None => head.max(after),
    };
    Ok(EventPage { events, next, more })
}

/// The newest events, at most `limit`, still oldest first. `more` tells that there are older ones.
pub async fn event_newest(store: &Store, filter: &EventFilter, limit: u32) -> Result<EventPage, StoreError> {
    let head = event_head(store).await?;
    let kinds = words(filter);
    let rows = sqlx::query_as!(
        Row,
        "select seq, at, kind, actor, fleet, gateway, config, revision, generation, version, digest, outcome, reason,
                detail
         from history
         where seq <= $1 and ($2::text is null or fleet = $2) and ($3::text is null or gateway = $3)
             and ($4::text is null or config = $4) and ($5::text[] is null or kind = any($5))
             and ($6::timestamptz is null or at >= $6)
         order by seq desc limit $7",
        number(head.0),
        filter.fleet.as_ref().map(FleetName::as_str),
        filter.gateway.as_ref().map(GatewayName::as_str),
        filter.config.as_ref().map(PackName::as_str),
        kinds.as_deref(),
        filter.since,
        i64::from(limit) + 1
    )
    .fetch_all(&store.pool())
    .await?;
    let mut events = rows.into_iter().map(Row::view).collect::<Result<Vec<_>, _>>()?;
    let more = events.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    events.reverse();
    Ok(EventPage { events, next: head, more })
}

/// What a gateway ran at a time: its newest activation not after it; the later fact wins a tie.
pub async fn event_in_force_at(
    store: &Store,
    gateway: GatewayId,
    at: OffsetDateTime,
) -> Result<Option<InForceView>, StoreError> {
    let row = sqlx::query!(
        r#"select config as "config!", revision as "revision!", generation as "generation!", version as "version!",
                  digest as "digest!", at
           from history
           where gateway_id = $1 and kind = 'activation' and outcome = 'active' and at <= $2
           order by at desc, seq desc limit 1"#,
        gateway.0,
        at
    )
    .fetch_optional(&store.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(InForceView {
        config: row.config,
        revision: revision(row.revision)?,
        generation: generation(row.generation)?,
        version: row.version,
        digest: digest(&row.digest)?,
        since: row.at,
    }))
}

/// Appends facts in this order. The last locking statements of their transaction: whoever holds the head keeps
/// every other writer waiting.
pub(crate) async fn event_append(conn: &mut PgConnection, events: &[NewEvent<'_>]) -> Result<(), StoreError> {
    let Ok(number_of_events) = i64::try_from(events.len()) else { return Ok(()) };
    if number_of_events == 0 {
        return Ok(());
    }
    let first = reserve(conn, number_of_events).await?;
    for (offset, event) in (0i64..).zip(events) {
        sqlx::query!(
            "insert into history (seq, at, kind, actor, fleet, gateway_id, gateway, config, revision, version, digest,
                 outcome, reason, detail)
             values ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            first + offset,
            event.kind.as_str(),
            event.actor,
            event.gateway.map(|(_, path)| path.fleet.as_str()).or(event.fleet.map(FleetName::as_str)),
            event.gateway.map(|(id, _)| id.0),
            event.gateway.map(|(_, path)| path.name.as_str()),
            event.config.map(PackName::as_str),
            event.revision.map(|revision| number(revision.0)),
            Some(event.version.as_str()).filter(|version| !version.is_empty()),
            event.digest.as_ref().map(|digest| digest.as_bytes().as_slice()),
            event.outcome,
            event.reason,
            event.detail
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Takes `number_of_events` numbers; answers the first.
pub(super) async fn reserve(conn: &mut PgConnection, number_of_events: i64) -> Result<i64, StoreError> {
    let last = sqlx::query_scalar!("update history_head set seq = seq + $1 returning seq", number_of_events)
        .fetch_one(conn)
        .await?;
    Ok(last - number_of_events + 1)
}

fn cursor(seq: i64) -> Cursor {
    Cursor(u64::try_from(seq).unwrap_or(0))
}

fn words(filter: &EventFilter) -> Option<Vec<String>> {
    if filter.kinds.is_empty() {
        return None;
    }
    Some(filter.kinds.iter().map(|kind| kind.as_str().to_owned()).collect())
}
