//! Row → wire, for reads: they are converted once, here.

use std::collections::BTreeMap;

use proto::convert::findings::wire_refusal;
use proto::v1;
use serde_json::Value;
use time::OffsetDateTime;

use crate::store::configs::ConfigRecord;
use crate::store::fleets::FleetView;
use crate::store::gateways::{GatewayView, OutcomeView, VersionView};
use crate::store::history::{EventView, InForceView};

/// Deeper JSON than this is not ours.
const MAX_DEPTH: usize = 16;

pub(crate) fn timestamp(time: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.unix_timestamp(),
        // Below 10^9, so it fits.
        nanos: i32::try_from(time.nanosecond()).unwrap_or(0),
    }
}

pub(crate) fn config_revision(record: ConfigRecord) -> v1::ConfigRevision {
    v1::ConfigRevision {
        config: record.version.config.to_string(),
        revision: record.version.revision.0,
        version: record.version.version.to_string(),
        digest: record.version.digest.to_string(),
        author: record.author,
        note: record.note,
        at: Some(timestamp(record.at)),
    }
}

pub(crate) fn fleet(fleet: FleetView) -> v1::Fleet {
    let stable_by = fleet.stable.as_ref().map(|stable| stable.by.as_str()).unwrap_or_default();
    v1::Fleet {
        name: fleet.name.to_string(),
        config: fleet.stable.as_ref().map(|stable| stable.version.config.to_string()).unwrap_or_default(),
        stable_by: stable_by.to_owned(),
        stable: fleet.stable.map(|stable| v1::Version {
            revision: Some(stable.version.revision.0),
            generation: None,
            version: stable.version.version.to_string(),
            digest: stable.version.digest.to_string(),
            at: Some(timestamp(stable.at)),
        }),
        gateways: fleet.gateways,
        created_at: Some(timestamp(fleet.created_at)),
    }
}

pub(crate) fn gateway(gateway: GatewayView, outcomes: Vec<OutcomeView>) -> v1::Gateway {
    v1::Gateway {
        id: gateway.id.to_string(),
        name: gateway.path.name.to_string(),
        fleet: gateway.path.fleet.to_string(),
        labels: gateway.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        liveness: liveness(gateway.liveness).into(),
        desired: gateway.desired.map(version),
        observed: gateway.observed.map(version),
        in_sync: gateway.in_sync,
        pinned: gateway.pinned,
        last_outcome: gateway.last_outcome.map(outcome),
        agent_version: gateway.agent_version,
        last_seen: gateway.last_seen.map(timestamp),
        enrolled_at: Some(timestamp(gateway.enrolled_at)),
        outcomes: outcomes.into_iter().map(outcome).collect(),
    }
}

pub(crate) fn event(event: EventView) -> v1::HistoryEvent {
    v1::HistoryEvent {
        cursor: event.cursor.0,
        at: Some(timestamp(event.at)),
        kind: event.kind.to_string(),
        actor: event.actor,
        fleet: event.fleet,
        gateway: event.gateway,
        config: event.config,
        revision: event.revision.map(|revision| revision.0),
        generation: event.generation.map(|generation| generation.0),
        version: event.version,
        digest: event.digest.map(|digest| digest.to_string()).unwrap_or_default(),
        outcome: event.outcome,
        reason: event.reason,
        detail: structure(&event.detail, MAX_DEPTH),
    }
}

pub(crate) fn in_force(gateway: String, at: OffsetDateTime, view: InForceView) -> v1::InForceAtResponse {
    v1::InForceAtResponse {
        gateway,
        at: Some(timestamp(at)),
        config: view.config,
        revision: view.revision.0,
        generation: view.generation.0,
        version: view.version,
        digest: view.digest.to_string(),
        since: Some(timestamp(view.since)),
    }
}

fn version(version: VersionView) -> v1::Version {
    v1::Version {
        revision: version.revision.map(|revision| revision.0),
        generation: version.generation.map(|generation| generation.0),
        version: version.version,
        digest: version.digest.to_string(),
        at: Some(timestamp(version.at)),
    }
}

fn outcome(outcome: OutcomeView) -> v1::Outcome {
    v1::Outcome {
        generation: outcome.generation.0,
        revision: outcome.revision.0,
        version: outcome.version,
        digest: outcome.digest.to_string(),
        state: outcome.state.as_str().to_owned(),
        reason: outcome.reason,
        refusal: outcome.refusal.as_ref().map(wire_refusal),
        at: Some(timestamp(outcome.at)),
    }
}

const fn liveness(liveness: fleet_core::liveness::Liveness) -> v1::Liveness {
    use fleet_core::liveness::Liveness;
    match liveness {
        Liveness::Online => v1::Liveness::Online,
        Liveness::Stale => v1::Liveness::Stale,
        Liveness::Offline => v1::Liveness::Offline,
    }
}

/// A JSON object as a `Struct`; other JSON has no such form.
fn structure(value: &Value, depth: usize) -> Option<prost_types::Struct> {
    let fields: BTreeMap<String, prost_types::Value> =
        value.as_object()?.iter().map(|(key, value)| (key.clone(), protobuf_value(value, depth))).collect();
    Some(prost_types::Struct { fields })
}

fn protobuf_value(value: &Value, depth: usize) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        _ if depth == 0 => Kind::NullValue(0),
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.iter().map(|value| protobuf_value(value, depth - 1)).collect(),
        }),
        Value::Object(_) => structure(value, depth - 1).map_or(Kind::NullValue(0), Kind::StructValue),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use prost_types::value::Kind;

    use super::*;

    #[test]
    fn details_keep_their_shape() {
        let json = serde_json::json!({"counts": {"active": 3}, "list": [true, null, "x"]});
        let wire = structure(&json, MAX_DEPTH).unwrap();
        let Some(Kind::StructValue(counts)) = &wire.fields["counts"].kind else { panic!("{wire:?}") };
        assert_eq!(counts.fields["active"].kind, Some(Kind::NumberValue(3.0)));
        let Some(Kind::ListValue(list)) = &wire.fields["list"].kind else { panic!("{wire:?}") };
        assert_eq!(list.values.len(), 3);
        assert_eq!(structure(&serde_json::json!([]), MAX_DEPTH), None);
    }

    #[test]
    fn times_keep_their_microseconds() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_764_000_000_123_456_000).unwrap();
        assert_eq!(timestamp(time), prost_types::Timestamp { seconds: 1_764_000_000, nanos: 123_456_000 });
    }
}
