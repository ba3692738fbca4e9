//! Hello: who attaches, and what it holds.

use fleet_core::gateway::Labels;
use fleet_core::ids::{BootId, Lineage};
use fleet_core::offer::NackReason;
use fleet_core::standing::Held;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;

use super::findings;
use super::reports::{ReportMessage, Running, RunningLocally};
use super::scalars::{self, parse, parse_optional};
use crate::{WireError, v1};

/// The most digests a hello may name.
pub const MAX_STAGED: usize = 64;

/// A hello as it travels. The gateway's identity comes from its credential, never from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloMessage {
    pub boot: BootId,
    pub session_counter: u64,
    pub labels: Labels,
    pub agent_version: String,
    pub max_config_bytes: u64,
    pub lineage: Option<Lineage>,
    pub active: Option<Running>,
    pub highest: Option<Generation>,
    pub unconfirmed: Option<ReportMessage>,
    pub staged: Vec<ConfigDigest>,
    pub pinned: bool,
    pub last_refused: Option<(Held, NackReason)>,
    /// What runs, where no control plane assigned it.
    pub local: Option<RunningLocally>,
}

// === impl HelloMessage ===

impl TryFrom<v1::Hello> for HelloMessage {
    type Error = WireError;

    fn try_from(wire: v1::Hello) -> Result<Self, Self::Error> {
        if wire.staged.len() > MAX_STAGED {
            return Err(WireError::new("hello.staged", format!("names at most {MAX_STAGED} digests")));
        }
        if wire.agent_version.is_empty() || wire.agent_version.len() > 64 {
            return Err(WireError::new("hello.agent_version", "is 1-64 bytes"));
        }
        let highest = match wire.highest_generation {
            0 => None,
            number => Some(scalars::generation("hello.highest_generation", number)?),
        };
        Ok(Self {
            boot: parse("hello.boot_id", &wire.boot_id)?,
            session_counter: wire.session_counter,
            labels: Labels::new(wire.labels)
                .map_err(|error| WireError::new("hello.labels", error.to_string()))?,
            agent_version: wire.agent_version,
            max_config_bytes: wire.max_config_bytes,
            lineage: parse_optional("hello.lineage", &wire.lineage)?,
            active: wire.active.map(Running::try_from).transpose()?,
            highest,
            unconfirmed: wire.unconfirmed.map(ReportMessage::try_from).transpose()?,
            staged: wire
                .staged
                .iter()
                .map(|digest| parse("hello.staged", digest))
                .collect::<Result<_, _>>()?,
            pinned: wire.pinned,
            last_refused: wire.last_refused.map(attempt).transpose()?,
            local: wire.local.map(RunningLocally::try_from).transpose()?,
        })
    }
}

impl From<HelloMessage> for v1::Hello {
    fn from(message: HelloMessage) -> Self {
        Self {
            boot_id: message.boot.to_string(),
            session_counter: message.session_counter,
            labels: message.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            agent_version: message.agent_version,
            max_config_bytes: message.max_config_bytes,
            lineage: message.lineage.map(|lineage| lineage.to_string()).unwrap_or_default(),
            active: message.active.map(v1::Held::from),
            highest_generation: message.highest.map_or(0, |generation| generation.0),
            unconfirmed: message.unconfirmed.map(v1::Report::from),
            staged: message.staged.iter().map(ConfigDigest::to_string).collect(),
            pinned: message.pinned,
            last_refused: message.last_refused.map(|(held, reason)| v1::Attempt {
                generation: held.generation.0,
                digest: held.digest.to_string(),
                refusal: Some(findings::wire_refusal(&reason)),
            }),
            local: message.local.map(v1::LocalPack::from),
        }
    }
}

fn attempt(wire: v1::Attempt) -> Result<(Held, NackReason), WireError> {
    let refusal = wire.refusal.ok_or_else(|| WireError::missing("hello.last_refused.refusal"))?;
    let held = Held {
        generation: scalars::generation("hello.last_refused.generation", wire.generation)?,
        digest: parse("hello.last_refused.digest", &wire.digest)?,
    };
    Ok((held, findings::nack_reason(&refusal)?))
}

#[cfg(test)]
mod tests {
    use fleet_core::offer::{Acknowledgement, Stage};
    use uuid::Uuid;

    use super::*;
    use crate::convert::reports::tests::message as report;

    fn message() -> HelloMessage {
        let unconfirmed = report(Acknowledgement::Ack { warnings: Vec::new() });
        HelloMessage {
            boot: BootId(Uuid::from_u128(1)),
            session_counter: 2,
            labels: Labels::new([("region".to_owned(), "eu".to_owned())]).expect("valid"),
            agent_version: "0.1.0".into(),
            max_config_bytes: 262_144,
            lineage: Some(Lineage(Uuid::from_u128(3))),
            active: unconfirmed.active.clone(),
            highest: Some(Generation(5)),
            unconfirmed: Some(unconfirmed),
            staged: vec![ConfigDigest::of(b"x")],
            pinned: false,
            last_refused: Some((
                Held { generation: Generation(5), digest: ConfigDigest::of(b"y") },
                NackReason { stage: Stage::Lint, reason: "no".into(), findings: Vec::new() },
            )),
            local: Some(RunningLocally {
                digest: ConfigDigest::of(b"z"),
                version: "0.9.0".parse().expect("semver"),
                age: std::time::Duration::from_millis(5),
            }),
        }
    }

    #[test]
    fn hellos_read_back() {
        assert_eq!(HelloMessage::try_from(v1::Hello::from(message())), Ok(message()));
        let first = HelloMessage {
            lineage: None,
            active: None,
            highest: None,
            unconfirmed: None,
            staged: Vec::new(),
            last_refused: None,
            local: None,
            ..message()
        };
        assert_eq!(HelloMessage::try_from(v1::Hello::from(first.clone())), Ok(first));
    }

    type Spoil = fn(&mut v1::Hello);

    #[test]
    fn each_bad_field_is_named() {
        let cases: [(&str, Spoil); 6] = [
            ("hello.boot_id", |hello| hello.boot_id.clear()),
            ("hello.agent_version", |hello| hello.agent_version.clear()),
            ("hello.labels", |hello| drop(hello.labels.insert("Bad Key".into(), String::new()))),
            ("hello.staged", |hello| hello.staged = vec![String::new(); MAX_STAGED + 1]),
            ("hello.lineage", |hello| hello.lineage = "x".into()),
            ("hello.last_refused.refusal", |hello| {
                if let Some(attempt) = &mut hello.last_refused {
                    attempt.refusal = None;
                }
            }),
        ];
        for (field, spoil) in cases {
            let mut bad = v1::Hello::from(message());
            spoil(&mut bad);
            assert_eq!(HelloMessage::try_from(bad).map_err(|error| error.field), Err(field));
        }
    }
}
