//! History events as JSON.

use prost_types::value::Kind;
use proto::v1;
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::{filled, time};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EventView {
    pub(crate) cursor: u64,
    pub(crate) at: Option<String>,
    pub(crate) kind: String,
    pub(crate) actor: Option<String>,
    pub(crate) fleet: Option<String>,
    pub(crate) gateway: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) revision: Option<u64>,
    pub(crate) generation: Option<u64>,
    pub(crate) version: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) detail: Map<String, Value>,
}

/// `{gateway, at, config, revision, generation, version, digest, since}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct InForceView {
    pub(crate) gateway: String,
    pub(crate) at: Option<String>,
    pub(crate) config: String,
    pub(crate) revision: u64,
    pub(crate) generation: u64,
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) since: Option<String>,
}

// === impl EventView ===

impl EventView {
    pub(crate) fn of(wire: &v1::HistoryEvent) -> Self {
        Self {
            cursor: wire.cursor,
            at: time(wire.at.as_ref()),
            kind: wire.kind.clone(),
            actor: filled(&wire.actor),
            fleet: filled(&wire.fleet),
            gateway: filled(&wire.gateway),
            config: filled(&wire.config),
            revision: wire.revision,
            generation: wire.generation,
            version: filled(&wire.version),
            digest: filled(&wire.digest),
            outcome: filled(&wire.outcome),
            reason: filled(&wire.reason),
            detail: wire.detail.as_ref().map(object).unwrap_or_default(),
        }
    }
}

// === impl InForceView ===

impl InForceView {
    pub(crate) fn of(wire: &v1::InForceAtResponse) -> Self {
        Self {
            gateway: wire.gateway.clone(),
            at: time(wire.at.as_ref()),
            config: wire.config.clone(),
            revision: wire.revision,
            generation: wire.generation,
            version: wire.version.clone(),
            digest: wire.digest.clone(),
            since: time(wire.since.as_ref()),
        }
    }
}

fn object(wire: &prost_types::Struct) -> Map<String, Value> {
    wire.fields.iter().map(|(key, wire)| (key.clone(), value(wire))).collect()
}

fn value(wire: &prost_types::Value) -> Value {
    match &wire.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(truth)) => Value::Bool(*truth),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::NumberValue(number)) => self::number(*number),
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)),
        Some(Kind::ListValue(list)) => Value::Array(list.values.iter().map(value).collect()),
    }
}

/// The wire has floats only; a whole number reads as one.
fn number(number: f64) -> Value {
    let whole = format!("{number:.0}").parse::<i64>().ok().filter(|_| number.fract() == 0.0);
    whole.map_or_else(|| Number::from_f64(number).map_or(Value::Null, Value::Number), Value::from)
}
