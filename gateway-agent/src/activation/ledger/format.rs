//! `standing.json`: one line of JSON with a checksum over its content and the name of its gateway.
//!
//! The JSON types are private: the file is this program's own memory, a promise to nobody else.

mod answers;

use std::io;

use fleet_core::standing::RefusedAttempt;
use fleet_core::version::Generation;
use instance::{Action, HistoryRecord};
use policy_config::ConfigDigest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::activation::record::{Desired, Failure, KeptPack, Moment, Record, Trial, Why, Withdrawn};
use answers::{NackJson, ReportJson};

/// Whose standing it is. A file of another gateway or fleet is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub instance: String,
    /// `None`: this gateway runs from a file.
    pub fleet: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FormatError {
    #[error("it is empty")]
    Empty,
    #[error("it is not a whole standing file: {0}")]
    Broken(String),
    #[error("its content does not have the checksum it was written with")]
    Checksum,
    #[error("it belongs to {owner}, not to {here}")]
    Foreign { owner: String, here: String },
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    checksum: String,
    standing: Box<RawValue>,
}

/// One standing file, read: the record, and which write it was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) record: Record,
    /// Higher than that of every earlier write of this gateway; `None`: written by a release that did not count.
    pub(super) write: Option<u64>,
    /// A pack on trial that runs is marked beside it; an earlier release marked none.
    pub(super) marked: bool,
}

#[derive(Serialize, Deserialize)]
struct StandingJson {
    instance: String,
    fleet: Option<String>,
    /// A file of an earlier release has none.
    #[serde(default)]
    write: Option<u64>,
    lineage: Option<String>,
    highest: Option<u64>,
    refused: Option<RefusedJson>,
    pinned: bool,
    active: Option<String>,
    kept: Vec<KeptJson>,
    unconfirmed: Option<ReportJson>,
    /// A file of an earlier release has none.
    #[serde(default)]
    trial: Option<TrialJson>,
    #[serde(default)]
    desired: Option<DesiredJson>,
    #[serde(default)]
    last_failure: Option<FailureJson>,
    #[serde(default)]
    withdrawn: Vec<WithdrawnJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    untold: Option<HistoryRecord>,
}

#[derive(Serialize, Deserialize)]
struct DesiredJson {
    digest: String,
    version: Option<String>,
    generation: Option<u64>,
    since: String,
}

#[derive(Serialize, Deserialize)]
struct FailureJson {
    at: String,
    action: Action,
    reason: NackJson,
}

#[derive(Serialize, Deserialize)]
struct WithdrawnJson {
    digest: String,
    version: Option<String>,
    /// For ending the gateway too often, and not by a revert.
    crashed: bool,
}

#[derive(Serialize, Deserialize)]
struct TrialJson {
    digest: String,
    crashes: u32,
    running: bool,
    /// A file of an earlier release has none.
    #[serde(default)]
    marked: bool,
}

#[derive(Serialize, Deserialize)]
struct RefusedJson {
    generation: u64,
    digest: String,
    boot: String,
    reason: NackJson,
}

#[derive(Serialize, Deserialize)]
struct KeptJson {
    digest: String,
    version: String,
    lineage: Option<String>,
    generation: Option<u64>,
    since: String,
    /// It proved itself. (What else is good follows from the rest.)
    good: bool,
    #[serde(default)]
    crashed: bool,
}

pub(super) fn encode(record: &Record, owner: &Owner, write: u64) -> io::Result<String> {
    let standing = serde_json::value::to_raw_value(&StandingJson::of(record, owner, write))?;
    let checksum = ConfigDigest::of(standing.get().as_bytes()).to_string();
    let mut text = serde_json::to_string(&Envelope { checksum, standing })?;
    text.push('\n');
    Ok(text)
}

pub(super) fn decode(bytes: &[u8], owner: &Owner) -> Result<Stored, FormatError> {
    if bytes.is_empty() {
        return Err(FormatError::Empty);
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(broken)?;
    if ConfigDigest::of(envelope.standing.get().as_bytes()).to_string() != envelope.checksum {
        return Err(FormatError::Checksum);
    }
    let standing: StandingJson = serde_json::from_str(envelope.standing.get()).map_err(broken)?;
    // A gateway may go from a file to a fleet and back; it never becomes another one.
    let other_fleet = standing.fleet.is_some() && owner.fleet.is_some() && standing.fleet != owner.fleet;
    if standing.instance != owner.instance || other_fleet {
        let found = Owner { instance: standing.instance, fleet: standing.fleet };
        return Err(FormatError::Foreign { owner: found.shown(), here: owner.shown() });
    }
    let write = standing.write;
    let marked = standing.trial.as_ref().is_some_and(|trial| trial.marked);
    let record = standing.record().map_err(FormatError::Broken)?;
    Ok(Stored { record, write, marked })
}

// === impl Owner ===

impl Owner {
    fn shown(&self) -> String {
        match &self.fleet {
            Some(fleet) => format!("gateway `{fleet}/{}`", self.instance.escape_debug()),
            None => format!("gateway `{}`", self.instance.escape_debug()),
        }
    }
}

// === impl StandingJson ===

impl StandingJson {
    fn of(record: &Record, owner: &Owner, write: u64) -> Self {
        Self {
            instance: owner.instance.clone(),
            fleet: owner.fleet.clone(),
            write: Some(write),
            lineage: record.lineage.map(|lineage| lineage.to_string()),
            highest: record.highest.map(|generation| generation.0),
            refused: record.refused.as_ref().map(|refused| RefusedJson {
                generation: refused.generation.0,
                digest: refused.digest.to_string(),
                boot: refused.boot.to_string(),
                reason: NackJson::of(&refused.reason),
            }),
            pinned: record.pinned,
            active: record.active.map(|digest| digest.to_string()),
            kept: record.kept.iter().map(KeptJson::of).collect(),
            unconfirmed: record.unconfirmed.as_ref().map(ReportJson::of),
            trial: record.trial.as_ref().map(TrialJson::of),
            desired: record.desired.as_ref().map(DesiredJson::of),
            last_failure: record.last_failure.as_ref().map(FailureJson::of),
            withdrawn: record.withdrawn.iter().map(WithdrawnJson::of).collect(),
            untold: record.untold.clone(),
        }
    }

    fn record(self) -> Result<Record, String> {
        Ok(Record {
            lineage: self.lineage.as_deref().map(read).transpose()?,
            highest: self.highest.map(Generation),
            refused: self.refused.map(RefusedJson::read).transpose()?,
            pinned: self.pinned,
            active: self.active.as_deref().map(read).transpose()?,
            kept: self.kept.into_iter().map(KeptJson::read).collect::<Result<_, _>>()?,
            unconfirmed: self.unconfirmed.map(ReportJson::read).transpose()?,
            trial: self.trial.map(TrialJson::read).transpose()?,
            desired: self.desired.map(DesiredJson::read).transpose()?,
            last_failure: self.last_failure.map(FailureJson::read).transpose()?,
            withdrawn: self.withdrawn.into_iter().map(WithdrawnJson::read).collect::<Result<_, _>>()?,
            untold: self.untold,
        })
    }
}

// === impl DesiredJson ===

impl DesiredJson {
    fn of(desired: &Desired) -> Self {
        Self {
            digest: desired.digest.to_string(),
            version: desired.version.as_ref().map(ToString::to_string),
            generation: desired.generation.map(|generation| generation.0),
            since: written(desired.since),
        }
    }

    fn read(self) -> Result<Desired, String> {
        Ok(Desired {
            digest: read(&self.digest)?,
            version: self.version.as_deref().map(read).transpose()?,
            generation: self.generation.map(Generation),
            since: moment(&self.since)?,
        })
    }
}

// === impl FailureJson ===

impl FailureJson {
    fn of(failure: &Failure) -> Self {
        Self { at: written(failure.at), action: failure.action, reason: NackJson::of(&failure.reason) }
    }

    fn read(self) -> Result<Failure, String> {
        Ok(Failure { at: moment(&self.at)?, action: self.action, reason: self.reason.read()? })
    }
}

// === impl WithdrawnJson ===

impl WithdrawnJson {
    fn of(withdrawn: &Withdrawn) -> Self {
        Self {
            digest: withdrawn.digest.to_string(),
            version: withdrawn.version.as_ref().map(ToString::to_string),
            crashed: withdrawn.why == Why::Crashed,
        }
    }

    fn read(self) -> Result<Withdrawn, String> {
        Ok(Withdrawn {
            digest: read(&self.digest)?,
            version: self.version.as_deref().map(read).transpose()?,
            why: if self.crashed { Why::Crashed } else { Why::Reverted },
        })
    }
}

// === impl TrialJson ===

impl TrialJson {
    fn of(trial: &Trial) -> Self {
        Self {
            digest: trial.digest.to_string(),
            crashes: trial.crashes,
            running: trial.running,
            marked: true,
        }
    }

    fn read(self) -> Result<Trial, String> {
        Ok(Trial { digest: read(&self.digest)?, crashes: self.crashes, running: self.running })
    }
}

// === impl RefusedJson ===

impl RefusedJson {
    fn read(self) -> Result<RefusedAttempt, String> {
        Ok(RefusedAttempt {
            generation: Generation(self.generation),
            digest: read(&self.digest)?,
            boot: read(&self.boot)?,
            reason: self.reason.read()?,
        })
    }
}

// === impl KeptJson ===

impl KeptJson {
    fn of(pack: &KeptPack) -> Self {
        Self {
            digest: pack.digest.to_string(),
            version: pack.version.to_string(),
            lineage: pack.assigned.map(|(lineage, _)| lineage.to_string()),
            generation: pack.assigned.map(|(_, generation)| generation.0),
            since: written(pack.since),
            good: pack.proved,
            crashed: pack.crashed,
        }
    }

    fn read(self) -> Result<KeptPack, String> {
        let lineage = self.lineage.as_deref().map(read).transpose()?;
        Ok(KeptPack {
            digest: read(&self.digest)?,
            version: read(&self.version)?,
            assigned: lineage.zip(self.generation.map(Generation)),
            since: moment(&self.since)?,
            proved: self.good,
            crashed: self.crashed,
        })
    }
}

fn read<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn written(moment: Moment) -> String {
    // A clock beyond the year 9999 has no such text; a time that is wrong must not cost the whole record.
    let shown = moment.wall.format(&Rfc3339).or_else(|_| OffsetDateTime::UNIX_EPOCH.format(&Rfc3339));
    shown.unwrap_or_default()
}

fn moment(text: &str) -> Result<Moment, String> {
    OffsetDateTime::parse(text, &Rfc3339).map(Moment::stored).map_err(|error| error.to_string())
}

fn broken(error: serde_json::Error) -> FormatError {
    FormatError::Broken(error.to_string())
}
