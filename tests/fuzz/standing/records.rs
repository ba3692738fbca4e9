//! Records with anything in them that a gateway may have to remember.

use std::time::Duration;

use fastrand::Rng;
use fleet_core::ids::{BootId, Lineage, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, NackReason, Stage};
use fleet_core::standing::RefusedAttempt;
use fleet_core::version::Generation;
use gateway_agent::activation::record::{
    Desired, Failure, KeptPack, Moment, PendingReport, Record, Trial, Why, Withdrawn,
};
use instance::{Action, HistoryRecord, Outcome};
use policy_config::location::Location;
use policy_config::schema::PackVersion;
use policy_config::{ConfigDigest, Finding, Severity};
use proto::convert::reports::Timings;
use time::OffsetDateTime;
use uuid::Uuid;

const PACKS: u8 = 4;

/// The packs that lie on the disk, so that a record may name them.
pub(crate) fn packs() -> impl Iterator<Item = (ConfigDigest, [u8; 1])> {
    (0..PACKS).map(|number| (ConfigDigest::of(&[number]), [number]))
}

pub(crate) fn record(rng: &mut Rng) -> Record {
    let mut kept: Vec<KeptPack> = Vec::new();
    for (digest, _) in packs() {
        if rng.bool() {
            kept.push(pack(rng, digest));
        }
    }
    rng.shuffle(&mut kept);
    Record {
        lineage: maybe(rng, |rng| Lineage(uuid(rng))),
        highest: maybe(rng, generation),
        refused: maybe(rng, |rng| RefusedAttempt {
            generation: generation(rng),
            digest: digest(rng),
            boot: BootId(uuid(rng)),
            reason: reason(rng),
        }),
        pinned: rng.bool(),
        active: kept.first().map(|pack| pack.digest).filter(|_| rng.bool()),
        trial: maybe(rng, |rng| Trial { digest: digest(rng), crashes: rng.u32(..), running: rng.bool() }),
        kept,
        unconfirmed: maybe(rng, report),
        desired: maybe(rng, |rng| Desired {
            digest: digest(rng),
            version: maybe(rng, version),
            generation: maybe(rng, generation),
            since: moment(rng),
        }),
        last_failure: maybe(rng, |rng| Failure {
            at: moment(rng),
            action: if rng.bool() { Action::Reload } else { Action::CrashFallback },
            reason: reason(rng),
        }),
        untold: maybe(rng, untold),
        withdrawn: (0..rng.usize(0..3))
            .map(|_| Withdrawn {
                digest: digest(rng),
                version: maybe(rng, version),
                why: if rng.bool() { Why::Reverted } else { Why::Crashed },
            })
            .collect(),
    }
}

fn untold(rng: &mut Rng) -> HistoryRecord {
    HistoryRecord {
        id: uuid(rng).to_string(),
        action: Action::Revert,
        at: moment(rng).wall,
        actor: "root".to_owned(),
        outcome: Outcome::Withdrawn,
        from: None,
        to: None,
        observed: None,
        duration_ms: rng.u64(..),
        reason: maybe(rng, |rng| reason(rng).reason),
        stage: None,
        findings: Vec::new(),
    }
}

fn pack(rng: &mut Rng, digest: ConfigDigest) -> KeptPack {
    KeptPack {
        digest,
        version: version(rng),
        assigned: maybe(rng, |rng| (Lineage(uuid(rng)), generation(rng))),
        since: moment(rng),
        proved: rng.bool(),
        crashed: rng.bool(),
    }
}

fn version(rng: &mut Rng) -> PackVersion {
    let versions = ["0.0.0", "1.2.3-rc.1", "18446744073709551615.0.0-a.b-c.0"];
    versions[rng.usize(0..versions.len())].parse().unwrap()
}

fn report(rng: &mut Rng) -> PendingReport {
    let acknowledgement = match rng.bool() {
        true => Acknowledgement::Ack { warnings: findings(rng) },
        false => Acknowledgement::Nack(reason(rng)),
    };
    PendingReport {
        session: SessionId(uuid(rng)),
        offer: OfferId(uuid(rng)),
        lineage: Lineage(uuid(rng)),
        generation: generation(rng),
        digest: digest(rng),
        acknowledgement,
        at: moment(rng),
        timings: Timings { validate: span(rng), activate: span(rng) },
    }
}

fn reason(rng: &mut Rng) -> NackReason {
    NackReason {
        stage: Stage::ALL[rng.usize(0..Stage::ALL.len())],
        reason: text(rng),
        findings: findings(rng),
    }
}

fn findings(rng: &mut Rng) -> Vec<Finding> {
    (0..rng.usize(0..3))
        .map(|_| Finding {
            code: text(rng),
            severity: if rng.bool() { Severity::Error } else { Severity::Warning },
            path: text(rng),
            location: Location { line: rng.u32(..), column: rng.u32(..) },
            message: text(rng),
            suggestion: text(rng),
        })
        .collect()
}

fn text(rng: &mut Rng) -> String {
    (0..rng.usize(0..8)).map(|_| if rng.bool() { rng.char(..) } else { rng.char('\0'..'\u{7f}') }).collect()
}

/// Any time that has an RFC 3339 text.
fn moment(rng: &mut Rng) -> Moment {
    const YEAR_0: i64 = -62_167_219_200;
    const YEAR_10000: i64 = 253_402_300_800;
    let seconds =
        if rng.bool() { rng.i64(YEAR_0..YEAR_10000) } else { rng.i64(1_700_000_000..1_800_000_000) };
    let whole = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    Moment::stored(whole + time::Duration::nanoseconds(rng.i64(0..1_000_000_000)))
}

/// Kept in whole microseconds.
fn span(rng: &mut Rng) -> Duration {
    Duration::from_micros(if rng.bool() { rng.u64(..) } else { rng.u64(0..60_000_000) })
}

fn generation(rng: &mut Rng) -> Generation {
    let edges = [1, 7, i64::MAX as u64, u64::MAX];
    Generation(edges[rng.usize(0..edges.len())])
}

fn digest(rng: &mut Rng) -> ConfigDigest {
    ConfigDigest::of(&rng.u64(..).to_le_bytes())
}

fn uuid(rng: &mut Rng) -> Uuid {
    Uuid::from_u128(rng.u128(..))
}

fn maybe<T>(rng: &mut Rng, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}
