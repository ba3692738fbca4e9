//! Who is there: the newest stream of each gateway, when it was last heard of, who was lost and came back.

use std::time::Duration;

use fleet_core::gateway::Labels;
use fleet_core::history::EventKind;
use fleet_core::ids::{BootId, GatewayId};
use fleet_core::liveness::STALE_FOR;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::encode::{labels_to_json, micros, number};
use super::history::reserve;
use crate::operations::PresenceRecord;

/// For facts that are told again soon: the commit does not wait for the disk.
pub(crate) async fn without_waiting_for_disk(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("set local synchronous_commit = off").execute(conn).await?;
    Ok(())
}

/// Writes who was heard of. Only the newest stream can say that it ended; one of another start counts when it was
/// heard of after everything else, so that what is told late of a replaced one changes nothing. Rows are locked in
/// the order of their ids, as everywhere: two writers of many must not wait for each other.
pub(crate) async fn presence_write(
    conn: &mut PgConnection,
    records: &[PresenceRecord],
) -> Result<(), StoreError> {
    let gateways: Vec<Uuid> = records.iter().map(|record| record.gateway.0).collect();
    let boots: Vec<Uuid> = records.iter().map(|record| record.boot.0).collect();
    let counters: Vec<i64> = records.iter().map(|record| number(record.session_counter)).collect();
    let agos: Vec<i64> = records.iter().map(|record| micros(record.seen_ago)).collect();
    let attached: Vec<bool> = records.iter().map(|record| record.attached).collect();
    sqlx::query!(
        "with locked as materialized (
             select id from gateways where id = any($1) order by id for no key update
         )
         update gateways g
         set last_seen = greatest(g.last_seen, clock_timestamp() - seen.ago * interval '1 microsecond'),
             attached = seen.attached, boot_id = seen.boot, session_counter = seen.counter
         from locked join unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::boolean[])
             as seen (gateway, boot, counter, ago, attached) on seen.gateway = locked.id
         where g.id = locked.id and case
             when g.boot_id = seen.boot then g.session_counter <= seen.counter
             else seen.attached and coalesce(
                 g.last_seen < clock_timestamp() - seen.ago * interval '1 microsecond', true) end",
        &gateways,
        &boots,
        &counters,
        &agos,
        &attached
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a gateway runs that no control plane assigned to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPack {
    pub digest: ConfigDigest,
    /// `pack.version`.
    pub version: String,
    /// How long ago it was swapped in.
    pub ago: Duration,
}

/// What was changed on the gateway's host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnHost<'a> {
    pub pinned: bool,
    pub local: Option<&'a LocalPack>,
}

/// A stream opened: it is the newest from now on. False: a newer one of the same start is known already.
pub(crate) async fn gateway_attach(
    conn: &mut PgConnection,
    gateway: GatewayId,
    boot: BootId,
    session_counter: u64,
    labels: &Labels,
    agent_version: &str,
    on_host: OnHost<'_>,
) -> Result<bool, StoreError> {
    let OnHost { pinned, local } = on_host;
    let attached = sqlx::query!(
        "update gateways
         set attached = true, last_seen = clock_timestamp(), boot_id = $2, session_counter = $3, labels = $4,
             agent_version = $5, pinned = $6, local_digest = $7, local_version = $8,
             local_since = clock_timestamp() - $9::bigint * interval '1 microsecond'
         where id = $1 and not coalesce(boot_id = $2 and session_counter > $3, false)",
        gateway.0,
        boot.0,
        number(session_counter),
        labels_to_json(labels),
        agent_version,
        pinned,
        local.map(|pack| pack.digest.as_bytes().as_slice()),
        local.map(|pack| pack.version.as_str()),
        local.map(|pack| micros(pack.ago))
    )
    .execute(conn)
    .await?;
    Ok(attached.rows_affected() == 1)
}

/// A gateway has seen generations that this database never assigned it: what it gets next is above them.
pub(crate) async fn gateway_see(
    conn: &mut PgConnection,
    gateway: GatewayId,
    seen: Generation,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update gateways set seen_generation = greatest(seen_generation, $2) where id = $1",
        gateway.0,
        number(seen.0)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Of these, the ones that were lost and are there again; they are not lost any more.
pub(crate) async fn gateway_find_again(
    conn: &mut PgConnection,
    gateways: &[GatewayId],
) -> Result<Vec<GatewayId>, StoreError> {
    let ids: Vec<Uuid> = gateways.iter().map(|id| id.0).collect();
    let found = sqlx::query_scalar!(
        "update gateways set lost_at = null
         where id = any($1) and lost_at is not null and attached
             and last_seen > clock_timestamp() - $2::bigint * interval '1 microsecond'
         returning id",
        &ids,
        micros(STALE_FOR)
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(GatewayId).collect())
}

/// Gateways that were heard of once but not for this long are lost from now on.
pub(crate) async fn gateway_lose(
    conn: &mut PgConnection,
    silence: Duration,
) -> Result<Vec<GatewayId>, StoreError> {
    let lost = sqlx::query_scalar!(
        "update gateways set lost_at = clock_timestamp(), attached = false
         where lost_at is null and last_seen < clock_timestamp() - $1::bigint * interval '1 microsecond'
         returning id",
        micros(silence)
    )
    .fetch_all(conn)
    .await?;
    Ok(lost.into_iter().map(GatewayId).collect())
}

/// Appends one event of this kind for each gateway.
pub(crate) async fn gateway_tell(
    conn: &mut PgConnection,
    kind: EventKind,
    actor: &str,
    gateways: &[GatewayId],
) -> Result<(), StoreError> {
    let Ok(events) = i64::try_from(gateways.len()) else { return Ok(()) };
    if events == 0 {
        return Ok(());
    }
    let ids: Vec<Uuid> = gateways.iter().map(|id| id.0).collect();
    let first = reserve(conn, events).await?;
    sqlx::query!(
        "insert into history (seq, at, kind, actor, fleet, gateway_id, gateway, version, digest, detail)
         select $1 + told.place - 1, clock_timestamp(), $2, $3, g.fleet, g.id, g.name,
             case when $2 = 'pinned' then g.local_version end, case when $2 = 'pinned' then g.local_digest end,
             jsonb_strip_nulls(jsonb_build_object('last_seen', g.last_seen, 'agent_version', g.agent_version))
         from unnest($4::uuid[]) with ordinality as told (id, place) join gateways g on g.id = told.id",
        first,
        kind.as_str(),
        actor,
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}
