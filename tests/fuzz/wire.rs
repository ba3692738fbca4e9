//! Bytes of a peer → wire message → what is decided on → wire message → the same.

mod grammar;

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use fastrand::Rng;
use fleet_core::gateway::{FleetName, GatewayName, GatewayPath};
use fleet_core::ids::{BootId, GatewayId, Lineage, OfferId, RolloutId, SessionId};
use fleet_core::offer::{Acknowledgement, NackReason, Stage};
use fleet_core::version::Generation;
use policy_config::schema::{PackName, PackVersion};
use policy_config::{ConfigDigest, Finding};
use prost::Message;
use proto::convert::findings::{MAX_FINDINGS, MAX_TEXT, findings, nack_reason, wire_findings, wire_refusal};
use proto::convert::hello::{HelloMessage, MAX_STAGED};
use proto::convert::offers::OfferMessage;
use proto::convert::reports::{ReportMessage, Running};
use proto::convert::rollouts::{counts, state, strategy, wire_counts, wire_state, wire_strategy};
use proto::convert::scalars;
use proto::{WireError, v1};

use crate::engine::{Target, Watch};

/// What is tried; a planted bug stands in for one of them.
pub(crate) struct Wire {
    pub(crate) hello: fn(v1::Hello) -> Result<HelloMessage, WireError>,
    pub(crate) report: fn(v1::Report) -> Result<ReportMessage, WireError>,
    pub(crate) offer: fn(v1::Offer) -> Result<OfferMessage, WireError>,
    pub(crate) duration: fn(&'static str, prost_types::Duration) -> Result<std::time::Duration, WireError>,
    /// Names of messages and fields: what an error may speak of.
    pub(crate) names: BTreeSet<String>,
}

/// Never repeated in an error, wherever it stood.
pub(crate) const CANARY: &str = "canary-5ca1ab1e";
/// The kinds of input: its first byte says which message the others are.
pub(crate) const KINDS: u8 = 14;

type Checked = Result<String, String>;

// === impl Wire ===

impl Default for Wire {
    fn default() -> Self {
        Self {
            hello: HelloMessage::try_from,
            report: ReportMessage::try_from,
            offer: OfferMessage::try_from,
            duration: scalars::duration,
            names: names(),
        }
    }
}

impl Target for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut rng = Rng::with_seed(0);
        let mut made =
            |wrong| (0..KINDS).map(|kind| grammar::message(kind, &mut rng, wrong)).collect::<Vec<_>>();
        [0, 10, 10, 10, 20, 20, 60, 60].map(&mut made).concat()
    }

    fn tokens(&self) -> &'static [&'static [u8]] {
        grammar::TOKENS
    }

    fn generate(&self, rng: &mut Rng) -> Vec<u8> {
        let (kind, wrong) = (rng.u8(0..KINDS), [0, 5, 30][rng.usize(0..3)]);
        grammar::message(kind, rng, wrong)
    }

    fn check(&mut self, input: &[u8], watch: &mut Watch) -> Checked {
        let Some((kind, bytes)) = input.split_first() else { return Ok("nothing".to_owned()) };
        match kind % KINDS {
            0 => self.of_agent(bytes, watch),
            1 => self.of_plane(bytes, watch),
            2 => self.hello(decoded(bytes, watch)?, watch),
            3 => self.report(decoded(bytes, watch)?, watch),
            4 => self.offer(decoded(bytes, watch)?, watch),
            5 => self.held(decoded(bytes, watch)?, watch),
            6 => self.strategy(Some(decoded(bytes, watch)?)),
            7 => {
                let push: v1::PushConfigRequest = decoded(bytes, watch)?;
                self.strategy(push.rollout.unwrap_or_default().strategy)
            }
            8 => self.refusal(&decoded(bytes, watch)?),
            9 => {
                let list: v1::FindingList = decoded(bytes, watch)?;
                let read = watch.time(|| findings(&list.findings));
                capped(&read)?;
                same("findings", findings(&wire_findings(&read)), read)
            }
            10 => self.duration(decoded(bytes, watch)?, watch),
            11 => {
                let time: prost_types::Timestamp = decoded(bytes, watch)?;
                let read = scalars::timestamp("at", time);
                self.both_ways("time", read, |time| scalars::timestamp("at", scalars::wire_timestamp(time)))
            }
            12 => self.rollout(&decoded(bytes, watch)?),
            _ => self.texts(&String::from_utf8_lossy(bytes)),
        }
    }

    fn must_meet(&self) -> &'static [&'static str] {
        &[
            "hello: read",
            "report: read",
            "offer: read",
            "held: read",
            "strategy: read",
            "refusal: read",
            "findings: read",
            "duration: read",
            "duration: refused",
            "time: read",
            "time: refused",
            "hello: refused at hello.labels",
            "report: refused at report.outcome",
            "offer: refused",
            "strategy: refused at strategy",
            "a text that is",
        ]
    }
}

impl Wire {
    fn of_agent(&self, bytes: &[u8], watch: &mut Watch) -> Checked {
        use v1::from_agent::Message as Of;
        match decoded::<v1::FromAgent>(bytes, watch)?.message {
            Some(Of::Hello(hello)) => self.hello(hello, watch),
            Some(Of::Report(report)) => self.report(report, watch),
            Some(Of::Heartbeat(beat)) => {
                self.text::<SessionId>(&beat.session_id)?;
                beat.active.map_or(Ok("a bare heartbeat".to_owned()), |held| self.held(held, watch))
            }
            None => Ok("from nobody".to_owned()),
        }
    }

    fn of_plane(&self, bytes: &[u8], watch: &mut Watch) -> Checked {
        use v1::to_agent::Message as Of;
        match decoded::<v1::ToAgent>(bytes, watch)?.message {
            Some(Of::Offer(offer)) => self.offer(offer, watch),
            Some(Of::Welcome(welcome)) => {
                self.text::<Lineage>(&welcome.lineage)?;
                self.duration(welcome.heartbeat_interval.unwrap_or_default(), watch)
            }
            Some(Of::Reconnect(away)) => self.duration(away.retry_after.unwrap_or_default(), watch),
            Some(Of::Parcel(parcel)) => self.text::<ConfigDigest>(&parcel.digest),
            Some(Of::ReportAck(ack)) => self.text::<OfferId>(&ack.offer_id),
            None => Ok("to nobody".to_owned()),
        }
    }

    fn hello(&self, wire: v1::Hello, watch: &mut Watch) -> Checked {
        let read = watch.time(|| (self.hello)(wire));
        if let Ok(hello) = &read {
            let labels_fit = hello.labels.iter().count() <= 32
                && hello.labels.iter().all(|(key, value)| key.len() <= 63 && value.chars().count() <= 128);
            if hello.staged.len() > MAX_STAGED || hello.agent_version.len() > 64 || !labels_fit {
                return Err(format!("what was read has its limits: {hello:?}"));
            }
            hello.highest.map_or(Ok(()), counts_from_one)?;
            hello.last_refused.as_ref().map_or(Ok(()), |(_, reason)| capped(&reason.findings))?;
        }
        self.both_ways("hello", read, |hello| (self.hello)(again(v1::Hello::from(hello))))
    }

    fn report(&self, wire: v1::Report, watch: &mut Watch) -> Checked {
        let read = watch.time(|| (self.report)(wire));
        if let Ok(report) = &read {
            counts_from_one(report.generation)?;
            match &report.acknowledgement {
                Acknowledgement::Ack { warnings } => capped(warnings)?,
                Acknowledgement::Nack(reason) => capped(&reason.findings)?,
            }
        }
        self.both_ways("report", read, |report| (self.report)(again(v1::Report::from(report))))
    }

    fn offer(&self, wire: v1::Offer, watch: &mut Watch) -> Checked {
        let read = watch.time(|| (self.offer)(wire));
        self.both_ways("offer", read, |offer| (self.offer)(again(v1::Offer::from(offer))))
    }

    fn held(&self, wire: v1::Held, watch: &mut Watch) -> Checked {
        let read = watch.time(|| Running::try_from(wire));
        self.both_ways("held", read, |held| Running::try_from(again(v1::Held::from(held))))
    }

    fn strategy(&self, wire: Option<v1::Strategy>) -> Checked {
        self.both_ways("strategy", strategy(wire), |read| strategy(Some(again(wire_strategy(read)))))
    }

    fn refusal(&self, wire: &v1::Refusal) -> Checked {
        let back = |reason: NackReason| nack_reason(&again(wire_refusal(&reason)));
        self.both_ways("refusal", nack_reason(wire), back)
    }

    fn duration(&self, wire: prost_types::Duration, watch: &mut Watch) -> Checked {
        let read = watch.time(|| (self.duration)("age", wire));
        self.both_ways("duration", read, |span| (self.duration)("age", again(scalars::wire_duration(span))))
    }

    fn rollout(&self, wire: &v1::Rollout) -> Checked {
        let read = counts(&wire.counts.unwrap_or_default());
        same("counts", counts(&again(wire_counts(&read))), read)?;
        self.both_ways("rollout", state(wire.state()), |read| state(wire_state(read)))
    }

    fn texts(&self, text: &str) -> Checked {
        let met = [
            self.text::<GatewayId>(text)?,
            self.text::<RolloutId>(text)?,
            self.text::<BootId>(text)?,
            self.text::<ConfigDigest>(text)?,
            self.text::<PackVersion>(text)?,
            self.text::<PackName>(text)?,
            self.text::<FleetName>(text)?,
            self.text::<GatewayName>(text)?,
            self.text::<GatewayPath>(text)?,
            self.text::<Stage>(text)?,
        ];
        Ok(format!(
            "a text that is {}",
            met.map(|met| if met.ends_with("read") { "1" } else { "0" }).concat()
        ))
    }

    /// What parses, prints, and parses to the same; where nothing is one thing, it is not another.
    fn text<T>(&self, text: &str) -> Checked
    where
        T: FromStr + Display + PartialEq + Clone + Debug,
        T::Err: Display,
    {
        let read = scalars::parse::<T>("id", text);
        if text.is_empty() != matches!(scalars::parse_optional::<T>("id", text), Ok(None)) {
            return Err("none exactly when empty: parse_optional".to_owned());
        }
        self.both_ways("text", read, |read| scalars::parse("id", &read.to_string()))
    }

    fn both_ways<C: PartialEq + Clone + Debug>(
        &self,
        what: &str,
        read: Result<C, WireError>,
        and_back: impl Fn(C) -> Result<C, WireError>,
    ) -> Checked {
        match read {
            Ok(read) => {
                let back = and_back(read.clone());
                if back.as_ref() == Ok(&read) {
                    return Ok(format!("{what}: read"));
                }
                Err(format!("what converts, converts back: {read:?} became {back:?}"))
            }
            Err(WireError { field, problem }) => {
                let known = |part: &str| self.names.contains(part) || matches!(part, "id" | "age" | "at");
                if field.is_empty() || !field.split('.').all(known) {
                    return Err(format!("an error names a field: `{field}`"));
                }
                if problem.is_empty() || problem.len() > 200 || problem.chars().any(char::is_control) {
                    return Err(format!("an error says what is wrong, briefly: {problem:?}"));
                }
                if problem.contains(CANARY) {
                    return Err(format!("an error never holds the value: {problem:?}"));
                }
                Ok(format!("{what}: refused at {field}"))
            }
        }
    }
}

/// The message, if the bytes are one. What is none is nothing to convert; what is one is encoded as it was read.
fn decoded<W: Message + Default + PartialEq>(bytes: &[u8], watch: &mut Watch) -> Result<W, String> {
    let Ok(message) = watch.time(|| W::decode(bytes)) else { return Ok(W::default()) };
    if again(W::decode(bytes).unwrap_or_default()) != message {
        return Err("a message is encoded as it was read".to_owned());
    }
    Ok(message)
}

/// Over the wire once more.
fn again<W: Message + Default>(message: W) -> W {
    W::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn same<C: PartialEq + Debug>(what: &str, back: C, read: C) -> Checked {
    if back == read {
        Ok(format!("{what}: read"))
    } else {
        Err(format!("what converts, converts back: {read:?} became {back:?}"))
    }
}

fn capped(findings: &[Finding]) -> Result<(), String> {
    let fits = |text: &String| text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    let fits = |one: &Finding| [&one.code, &one.path, &one.message, &one.suggestion].into_iter().all(fits);
    if findings.len() <= MAX_FINDINGS && findings.iter().all(fits) {
        return Ok(());
    }
    Err("findings are capped: too many, too long, or with control characters".to_owned())
}

fn counts_from_one(generation: Generation) -> Result<(), String> {
    let fits = generation.0 >= 1 && i64::try_from(generation.0).is_ok();
    if fits { Ok(()) } else { Err(format!("a generation counts from 1 and fits a bigint: {generation:?}")) }
}

fn names() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let messages = set.file.into_iter().flat_map(|file| file.message_type);
    messages
        .flat_map(|message| {
            let fields = message.field.into_iter().map(|field| field.name().to_owned()).collect::<Vec<_>>();
            let oneofs =
                message.oneof_decl.into_iter().map(|oneof| oneof.name().to_owned()).collect::<Vec<_>>();
            [fields, oneofs, vec![message.name.unwrap_or_default().to_lowercase()]].concat()
        })
        .collect()
}
