//! Wire messages as a peer of ours would send them, and as none would.

use fastrand::Rng;
use prost::Message;
use proto::v1;

use super::CANARY;

pub(crate) const TOKENS: &[&[u8]] = &[
    b"\x08\x00",
    b"\x08\x01",
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x10\xff\xff\xff\xff\x0f",
    b"\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f",
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x10\xff\x93\xeb\xdc\x03",
    b"\x10\x80\x94\xeb\xdc\x03",
    b"\x0a\x00",
    b"\x12\x00",
    b"\x3a\x00",
    b"\x42\x00",
    b"\x0a\x7f",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\x0b\x0b\x0b\x0b",
    b"\x0c",
    b"\x07",
    b"\xf8\xff\xff\xff\x0f",
    b"\x00",
    b"\x0a\x2400000000-0000-0000-0000-000000000001",
    b"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"0.1.0",
    b"0.1.0-",
    b"fleet/gateway",
    b"canary-5ca1ab1e",
    b"{00000000-0000-0000-0000-000000000001}",
    b"urn:uuid:",
];

const TEXTS: &[&str] = &[
    "",
    "x",
    CANARY,
    "sha256:00",
    "\u{0}",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{e9}\u{1f600}",
    "Bad Key",
    "../../x",
    "{00000000-0000-0000-0000-000000000001}",
    "00000000000000000000000000000001",
    "SHA256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "1.2",
    "1.2.3+b",
    "a/b/c",
    " ",
    "self_test",
    "lint",
];
const NUMBERS: &[u64] =
    &[0, 1, 2, u32::MAX as u64, u32::MAX as u64 + 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX];
const SECONDS: &[i64] = &[
    0,
    1,
    -1,
    30,
    86_400,
    100 * 365 * 86_400,
    253_402_300_799,
    253_402_300_800,
    -62_135_596_800,
    -62_135_596_801,
    i64::MAX,
    i64::MIN,
    i64::MAX / 1_000_000,
];
const NANOS: &[i32] = &[0, 1, -1, 999, 999_999_999, 1_000_000_000, -999_999_999, i32::MAX, i32::MIN];

/// A message of this kind, behind the byte that says so; `wrong` fields in a hundred are not as they must be.
pub(crate) fn message(kind: u8, rng: &mut Rng, wrong: u32) -> Vec<u8> {
    let mut made = Made { rng, wrong };
    let body = match kind {
        0 => made.of_agent().encode_to_vec(),
        1 => made.of_plane().encode_to_vec(),
        2 => made.hello().encode_to_vec(),
        3 => made.report().encode_to_vec(),
        4 => made.offer().encode_to_vec(),
        5 => made.held().encode_to_vec(),
        6 => made.strategy().encode_to_vec(),
        7 => made.push().encode_to_vec(),
        8 => made.refusal().encode_to_vec(),
        9 => v1::FindingList { findings: made.findings() }.encode_to_vec(),
        10 => made.span().unwrap_or_default().encode_to_vec(),
        11 => prost_types::Timestamp { seconds: made.seconds(), nanos: made.nanos() }.encode_to_vec(),
        12 => made.rollout().encode_to_vec(),
        _ => made.any_text().into_bytes(),
    };
    [&[kind][..], &body].concat()
}

struct Made<'r> {
    rng: &'r mut Rng,
    wrong: u32,
}

// === impl Made ===

impl Made<'_> {
    fn of_agent(&mut self) -> v1::FromAgent {
        use v1::from_agent::Message as Of;
        let message = match self.rng.u8(0..3) {
            _ if self.slips() => None,
            0 => Some(Of::Hello(self.hello())),
            1 => Some(Of::Report(self.report())),
            _ => {
                Some(Of::Heartbeat(v1::Heartbeat { session_id: self.uuid(), active: self.maybe(Self::held) }))
            }
        };
        v1::FromAgent { message }
    }

    fn of_plane(&mut self) -> v1::ToAgent {
        use v1::to_agent::Message as Of;
        let message = match self.rng.u8(0..5) {
            _ if self.slips() => None,
            0 => Some(Of::Welcome(v1::Welcome {
                session_id: self.uuid(),
                heartbeat_interval: self.span(),
                lineage: self.uuid(),
                gateway_id: self.uuid(),
                gateway: self.text("prod/edge-1"),
            })),
            1 => Some(Of::Offer(self.offer())),
            2 => {
                Some(Of::Parcel(v1::Parcel { digest: self.digest(), source: b"pack: {}".as_slice().into() }))
            }
            3 => Some(Of::ReportAck(v1::ReportAck {
                session_id: self.uuid(),
                offer_id: self.uuid(),
                generation: self.number(4),
            })),
            _ => Some(Of::Reconnect(v1::Reconnect {
                retry_after: self.span(),
                reason: self.text("shutting down"),
            })),
        };
        v1::ToAgent { message }
    }

    fn hello(&mut self) -> v1::Hello {
        let labels =
            (0..self.many(3)).map(|at| (self.text(&format!("zone-{at}")), self.text("eu"))).collect();
        v1::Hello {
            boot_id: self.uuid(),
            session_counter: self.number(2),
            labels,
            agent_version: self.text("0.1.0"),
            max_config_bytes: self.number(262_144),
            lineage: self.uuid(),
            active: self.maybe(Self::held),
            highest_generation: self.number(5),
            unconfirmed: self.maybe(Self::report),
            staged: (0..self.many(5)).map(|_| self.digest()).collect(),
            pinned: self.rng.bool(),
            last_refused: self.maybe(|made| v1::Attempt {
                generation: made.number(5),
                digest: made.digest(),
                refusal: made.maybe(Self::refusal),
            }),
            local: self.maybe(|made| v1::LocalPack {
                digest: made.digest(),
                version: made.text("0.1.0"),
                age: None,
            }),
        }
    }

    fn report(&mut self) -> v1::Report {
        use v1::report::Outcome;
        let outcome = match self.rng.bool() {
            _ if self.slips() => None,
            true => Some(Outcome::Ack(v1::Acknowledged { warnings: self.findings() })),
            false => Some(Outcome::Nack(self.refusal())),
        };
        v1::Report {
            session_id: self.uuid(),
            offer_id: self.uuid(),
            lineage: self.uuid(),
            generation: self.number(4),
            digest: self.digest(),
            outcome,
            active: self.maybe(Self::held),
            age: self.span(),
            timings: self.maybe(|made| v1::Timings { validate: made.span(), activate: made.span() }),
        }
    }

    fn offer(&mut self) -> v1::Offer {
        v1::Offer {
            session_id: self.uuid(),
            offer_id: self.uuid(),
            lineage: self.uuid(),
            generation: self.number(7),
            digest: self.digest(),
            intent: if self.slips() { self.rng.i32(..) } else { self.rng.i32(1..3) },
            deadline: self.span(),
            parcel_follows: self.rng.bool(),
        }
    }

    fn held(&mut self) -> v1::Held {
        v1::Held {
            generation: self.number(4),
            digest: self.digest(),
            version: self.text("0.1.0-rc.1"),
            age: self.span(),
        }
    }

    fn refusal(&mut self) -> v1::Refusal {
        v1::Refusal {
            stage: if self.slips() { self.rng.i32(..) } else { self.rng.i32(1..8) },
            reason: self.text("no OPENAI_API_KEY"),
            findings: self.findings(),
        }
    }

    fn findings(&mut self) -> Vec<v1::Finding> {
        (0..self.many(3))
            .map(|_| v1::Finding {
                code: self.text("E001"),
                severity: if self.slips() { self.rng.i32(..) } else { 2 },
                path: self.text("policies.chain[0]"),
                line: self.rng.u32(..),
                column: 7,
                message: self.text("unknown policy"),
                suggestion: self.text("did you mean"),
            })
            .collect()
    }

    fn strategy(&mut self) -> v1::Strategy {
        v1::Strategy { bake: self.span(), deadline: self.span() }
    }

    fn push(&mut self) -> v1::PushConfigRequest {
        v1::PushConfigRequest {
            source: b"pack: {}".as_slice().into(),
            note: self.text("note"),
            idempotency_key: self.text("key"),
            expect_revision: self.rng.bool().then(|| self.number(3)),
            allow_same_version: self.rng.bool(),
            accept_risk: self.rng.bool(),
            rollout: self.maybe(|made| v1::RolloutOrder {
                fleet: made.text("prod"),
                strategy: made.maybe(Self::strategy),
                replace_config: false,
                supersede: true,
            }),
        }
    }

    fn rollout(&mut self) -> v1::Rollout {
        let counts = v1::Counts {
            pending: self.rng.u32(..),
            active: self.rng.u32(..),
            offline: 3,
            ..Default::default()
        };
        v1::Rollout {
            id: self.uuid(),
            state: if self.slips() { self.rng.i32(..) } else { self.rng.i32(0..9) },
            counts: Some(counts),
            strategy: self.maybe(Self::strategy),
            ..Default::default()
        }
    }

    fn span(&mut self) -> Option<prost_types::Duration> {
        if self.rng.u8(0..12) == 0 {
            return None;
        }
        Some(prost_types::Duration { seconds: self.seconds(), nanos: self.nanos() })
    }

    fn seconds(&mut self) -> i64 {
        if self.slips() { SECONDS[self.rng.usize(0..SECONDS.len())] } else { self.rng.i64(1..60) }
    }

    fn nanos(&mut self) -> i32 {
        if self.slips() { NANOS[self.rng.usize(0..NANOS.len())] } else { self.rng.i32(0..1_000_000_000) }
    }

    fn uuid(&mut self) -> String {
        let id = uuid::Uuid::from_u128(self.rng.u128(..)).to_string();
        self.text(&id)
    }

    fn digest(&mut self) -> String {
        let digest = policy_config::ConfigDigest::of(&self.rng.u32(..).to_le_bytes()).to_string();
        self.text(&digest)
    }

    fn any_text(&mut self) -> String {
        match self.rng.u8(0..6) {
            0 => self.uuid(),
            1 => self.digest(),
            2 => self.text("1.2.3-rc.1"),
            3 => self.text("prod/edge-1"),
            4 => self.text("edge-1"),
            _ => TEXTS[self.rng.usize(0..TEXTS.len())].to_owned(),
        }
    }

    fn text(&mut self, right: &str) -> String {
        match self.rng.u8(0..5) {
            _ if !self.slips() => right.to_owned(),
            4 => CANARY.to_owned(),
            0 => right.to_uppercase(),
            1 => TEXTS[self.rng.usize(0..TEXTS.len())].repeat(self.rng.usize(1..300)),
            2 => format!("{right}{}", TEXTS[self.rng.usize(0..TEXTS.len())]),
            _ => TEXTS[self.rng.usize(0..TEXTS.len())].to_owned(),
        }
    }

    fn number(&mut self, right: u64) -> u64 {
        if self.slips() { NUMBERS[self.rng.usize(0..NUMBERS.len())] } else { right }
    }

    fn many(&mut self, most: usize) -> usize {
        if self.slips() { self.rng.usize(0..80) } else { self.rng.usize(0..=most) }
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.rng.bool().then(|| make(self))
    }

    fn slips(&mut self) -> bool {
        self.rng.u32(0..100) < self.wrong
    }
}
