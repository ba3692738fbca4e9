//! Who was heard of: one statement an interval, for all gateways of this replica.

use std::collections::HashMap;
use std::time::Duration;

use fleet_core::history::EventKind;
use fleet_core::ids::{BootId, GatewayId};

use super::{Context, SELF};
use crate::store::StoreError;
use crate::store::presence::{
    gateway_find_again, gateway_lose, gateway_tell, presence_write, without_waiting_for_disk,
};

/// What this replica knows of one gateway's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceRecord {
    pub gateway: GatewayId,
    pub boot: BootId,
    pub session_counter: u64,
    /// How long ago it was heard of.
    pub seen_ago: Duration,
    /// False: this stream ended.
    pub attached: bool,
}

/// Writes who was heard of. The end of an older stream does not end a newer one.
///
/// # Errors
/// [`StoreError`]; the next interval tells the same again.
pub async fn record_presence(context: &Context, records: Vec<PresenceRecord>) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let mut newest: HashMap<GatewayId, PresenceRecord> = HashMap::with_capacity(records.len());
    for record in records {
        newest.insert(record.gateway, record);
    }
    let records: Vec<PresenceRecord> = newest.into_values().collect();
    let records = &records;
    context
        .store
        .in_tx("record_presence", async |mut tx| {
            without_waiting_for_disk(&mut tx).await?;
            presence_write(&mut tx, records).await?;
            let ids: Vec<GatewayId> = records.iter().map(|record| record.gateway).collect();
            let found = gateway_find_again(&mut tx, &ids).await?;
            gateway_tell(&mut tx, EventKind::GatewayReturned, SELF, &found).await?;
            Ok::<_, StoreError>((tx, ()))
        })
        .await
}

/// Calls gateways lost that were not heard of for as long as makes one offline; answers how many.
///
/// # Errors
/// [`StoreError`].
pub async fn record_losses(context: &Context) -> Result<usize, StoreError> {
    context
        .store
        .in_tx("record_losses", async |mut tx| {
            let lost = gateway_lose(&mut tx, fleet_core::liveness::STALE_FOR).await?;
            gateway_tell(&mut tx, EventKind::GatewayLost, SELF, &lost).await?;
            Ok::<_, StoreError>((tx, lost.len()))
        })
        .await
}
