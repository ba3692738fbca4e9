//! Credentials by their hash, answers to repeated requests, and the lineage.

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::{GatewayId, Lineage};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::gateways::path;
use super::{Store, StoreError};

/// SHA-256 of a bearer token. The token itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

/// What was stored under an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KeyUse {
    /// It is ours now; the answer is stored before the commit.
    First,
    /// The same request was answered with this.
    Repeated(Value),
    /// Another request has it.
    Taken,
}

/// The gateway whose agent holds this credential.
pub async fn agent_find(
    store: &Store,
    token: TokenHash,
) -> Result<Option<(GatewayId, GatewayPath)>, StoreError> {
    let row = sqlx::query!(
        "select g.id, g.fleet, g.name from tokens t join gateways g on g.id = t.gateway
         where t.hash = $1 and t.role = 'agent'",
        token.0.as_slice()
    )
    .fetch_optional(&store.pool())
    .await?;
    row.map(|row| Ok((GatewayId(row.id), path(&row.fleet, &row.name)?))).transpose()
}

/// Gives a gateway its credential; whatever it had before is void.
pub(crate) async fn agent_replace(
    conn: &mut PgConnection,
    gateway: GatewayId,
    token: TokenHash,
) -> Result<(), StoreError> {
    sqlx::query!("delete from tokens where gateway = $1", gateway.0).execute(&mut *conn).await?;
    sqlx::query!(
        "insert into tokens (hash, role, gateway) values ($1, 'agent', $2)",
        token.0.as_slice(),
        gateway.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Claims a key. A second request with the same key waits here until the first has committed or failed.
pub(crate) async fn key_claim(
    conn: &mut PgConnection,
    principal: &str,
    key: &str,
    request: [u8; 32],
) -> Result<KeyUse, StoreError> {
    let claimed = sqlx::query!(
        "insert into idempotency_keys (principal, key, request) values ($1, $2, $3) on conflict do nothing",
        principal,
        key,
        request.as_slice()
    )
    .execute(&mut *conn)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(KeyUse::First);
    }
    let stored = sqlx::query!(
        "select request, response from idempotency_keys where principal = $1 and key = $2",
        principal,
        key
    )
    .fetch_one(conn)
    .await?;
    match stored.response {
        Some(response) if stored.request == request => Ok(KeyUse::Repeated(response)),
        Some(_) | None => Ok(KeyUse::Taken),
    }
}

/// Stores the answer to the request that claimed the key.
pub(crate) async fn key_answer(
    conn: &mut PgConnection,
    principal: &str,
    key: &str,
    response: &Value,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update idempotency_keys set response = $3 where principal = $1 and key = $2",
        principal,
        key,
        response
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn lineage_get(pool: &PgPool) -> Result<Lineage, StoreError> {
    Ok(Lineage(sqlx::query_scalar!("select id from lineage").fetch_one(pool).await?))
}
