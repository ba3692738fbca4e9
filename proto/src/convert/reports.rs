//! Reports: the answer to one offer, and what runs after it.

use std::time::Duration;

use fleet_core::ids::{Lineage, OfferId, SessionId};
use fleet_core::offer::Acknowledgement;
use fleet_core::standing::Held;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use policy_config::schema::PackVersion;

use super::findings;
use super::scalars::{self, parse};
use crate::{WireError, v1};

/// What a gateway says it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub held: Held,
    pub version: PackVersion,
    /// How long ago it was swapped in.
    pub age: Duration,
}

/// What a gateway runs that no control plane assigned to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningLocally {
    pub digest: ConfigDigest,
    pub version: PackVersion,
    /// How long ago it was swapped in.
    pub age: Duration,
}

/// A report as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportMessage {
    /// The session in which the offer came; another one when the report is repeated after a reconnect.
    pub session: SessionId,
    pub offer: OfferId,
    pub lineage: Lineage,
    pub generation: Generation,
    pub digest: ConfigDigest,
    pub acknowledgement: Acknowledgement,
    pub active: Option<Running>,
    /// How long ago the outcome happened.
    pub age: Duration,
    pub timings: Timings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// From the offer's arrival to the end of the self-test.
    pub validate: Duration,
    /// From there to the swap, the keep included.
    pub activate: Duration,
}

// === impl Running ===

impl TryFrom<v1::Held> for Running {
    type Error = WireError;

    fn try_from(wire: v1::Held) -> Result<Self, Self::Error> {
        Ok(Self {
            held: Held {
                generation: scalars::generation("held.generation", wire.generation)?,
                digest: parse("held.digest", &wire.digest)?,
            },
            version: parse("held.version", &wire.version)?,
            age: wire.age.map_or(Ok(Duration::ZERO), |age| scalars::duration("held.age", age))?,
        })
    }
}

impl From<Running> for v1::Held {
    fn from(running: Running) -> Self {
        Self {
            generation: running.held.generation.0,
            digest: running.held.digest.to_string(),
            version: running.version.to_string(),
            age: Some(scalars::wire_duration(running.age)),
        }
    }
}

// === impl RunningLocally ===

impl TryFrom<v1::LocalPack> for RunningLocally {
    type Error = WireError;

    fn try_from(wire: v1::LocalPack) -> Result<Self, Self::Error> {
        Ok(Self {
            digest: parse("local.digest", &wire.digest)?,
            version: parse("local.version", &wire.version)?,
            age: wire.age.map_or(Ok(Duration::ZERO), |age| scalars::duration("local.age", age))?,
        })
    }
}

impl From<RunningLocally> for v1::LocalPack {
    fn from(running: RunningLocally) -> Self {
        Self {
            digest: running.digest.to_string(),
            version: running.version.to_string(),
            age: Some(scalars::wire_duration(running.age)),
        }
    }
}

// === impl ReportMessage ===

impl TryFrom<v1::Report> for ReportMessage {
    type Error = WireError;

    fn try_from(wire: v1::Report) -> Result<Self, Self::Error> {
        let acknowledgement = match wire.outcome {
            None => return Err(WireError::missing("report.outcome")),
            Some(v1::report::Outcome::Ack(ack)) => {
                Acknowledgement::Ack { warnings: findings::findings(&ack.warnings) }
            }
            Some(v1::report::Outcome::Nack(refusal)) => {
                Acknowledgement::Nack(findings::nack_reason(&refusal)?)
            }
        };
        let span = |field, wire: Option<prost_types::Duration>| {
            wire.map_or(Ok(Duration::ZERO), |wire| scalars::duration(field, wire))
        };
        let timings = wire.timings.unwrap_or_default();
        Ok(Self {
            session: parse("report.session_id", &wire.session_id)?,
            offer: parse("report.offer_id", &wire.offer_id)?,
            lineage: parse("report.lineage", &wire.lineage)?,
            generation: scalars::generation("report.generation", wire.generation)?,
            digest: parse("report.digest", &wire.digest)?,
            acknowledgement,
            active: wire.active.map(Running::try_from).transpose()?,
            age: span("report.age", wire.age)?,
            timings: Timings {
                validate: span("report.timings.validate", timings.validate)?,
                activate: span("report.timings.activate", timings.activate)?,
            },
        })
    }
}

impl From<ReportMessage> for v1::Report {
    fn from(message: ReportMessage) -> Self {
        let outcome = match &message.acknowledgement {
            Acknowledgement::Ack { warnings } => {
                v1::report::Outcome::Ack(v1::Acknowledged { warnings: findings::wire_findings(warnings) })
            }
            Acknowledgement::Nack(reason) => v1::report::Outcome::Nack(findings::wire_refusal(reason)),
        };
        Self {
            session_id: message.session.to_string(),
            offer_id: message.offer.to_string(),
            lineage: message.lineage.to_string(),
            generation: message.generation.0,
            digest: message.digest.to_string(),
            outcome: Some(outcome),
            active: message.active.map(v1::Held::from),
            age: Some(scalars::wire_duration(message.age)),
            timings: Some(v1::Timings {
                validate: Some(scalars::wire_duration(message.timings.validate)),
                activate: Some(scalars::wire_duration(message.timings.activate)),
            }),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use fleet_core::offer::{NackReason, Stage};
    use uuid::Uuid;

    use super::*;

    pub(crate) fn message(acknowledgement: Acknowledgement) -> ReportMessage {
        ReportMessage {
            session: SessionId(Uuid::from_u128(1)),
            offer: OfferId(Uuid::from_u128(2)),
            lineage: Lineage(Uuid::from_u128(3)),
            generation: Generation(4),
            digest: ConfigDigest::of(b"x"),
            acknowledgement,
            active: Some(Running {
                held: Held { generation: Generation(4), digest: ConfigDigest::of(b"x") },
                version: "0.1.0".parse().expect("semver"),
                age: Duration::from_millis(7),
            }),
            age: Duration::from_millis(9),
            timings: Timings { validate: Duration::from_millis(3), activate: Duration::from_millis(1) },
        }
    }

    #[test]
    fn reports_read_back() {
        let nack = NackReason { stage: Stage::Secrets, reason: "no KEY".into(), findings: Vec::new() };
        for answer in [Acknowledgement::Ack { warnings: Vec::new() }, Acknowledgement::Nack(nack)] {
            let sent = message(answer);
            assert_eq!(ReportMessage::try_from(v1::Report::from(sent.clone())), Ok(sent));
        }
    }

    type Spoil = fn(&mut v1::Report);

    #[test]
    fn each_bad_field_is_named() {
        let good = v1::Report::from(message(Acknowledgement::Ack { warnings: Vec::new() }));
        let cases: [(&str, Spoil); 7] = [
            ("report.outcome", |report| report.outcome = None),
            ("report.session_id", |report| report.session_id = "x".into()),
            ("report.offer_id", |report| report.offer_id.clear()),
            ("report.lineage", |report| report.lineage = "nobody".into()),
            ("report.generation", |report| report.generation = 0),
            ("report.digest", |report| report.digest.clear()),
            ("held.version", |report| {
                if let Some(active) = &mut report.active {
                    active.version = "one".into();
                }
            }),
        ];
        for (field, spoil) in cases {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(ReportMessage::try_from(bad).map_err(|error| error.field), Err(field));
        }
    }
}
