//! A batch of reports becomes activations, observed versions and history: one transaction, a fixed number of
//! statements whatever the size of the batch, and no NOTIFY.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet_core::activation::{ActivationEvent, transition};
use fleet_core::ids::{BootId, GatewayId, Lineage};
use fleet_core::offer::{Acknowledgement, NackReason};
use fleet_core::version::Generation;
use policy_config::{ConfigDigest, Finding};

use super::Context;
use crate::store::StoreError;
use crate::store::activations::{ActivationKey, LoadedActivation, activation_tell};
use crate::store::answers::{AnswerRow, ObservedRow, activation_answer, activation_load, gateway_observe};

/// What one agent said: an answer to an offer, what it runs, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRecord {
    pub gateway: GatewayId,
    /// The stream it came on; an older stream of the same start says nothing about what runs now.
    pub boot: BootId,
    pub session_counter: u64,
    /// Whose generations it speaks of; those of another lineage mean nothing here.
    pub lineage: Lineage,
    pub agent_version: String,
    pub answered: Option<Answered>,
    /// What runs; `None`: nothing does, or it did not say.
    pub running: Option<RunningPack>,
}

/// The answer to one offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub generation: Generation,
    pub digest: ConfigDigest,
    pub acknowledgement: Acknowledgement,
    /// How long ago it happened, on the agent's clock.
    pub ago: Duration,
    pub validate: Option<Duration>,
    pub activate: Option<Duration>,
}

/// What an agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningPack {
    pub generation: Generation,
    pub digest: ConfigDigest,
    /// `pack.version`.
    pub version: String,
    /// How long ago it was swapped in.
    pub ago: Duration,
    /// A hello said it: that is what its process began with, also where it is less than an earlier one ran.
    pub from_hello: bool,
}

/// An answer that is durable here: the agent need not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    pub gateway: GatewayId,
    pub generation: Generation,
}

/// One thing said about one activation.
struct Said<'a> {
    record: &'a ReportRecord,
    generation: Generation,
    digest: ConfigDigest,
    ago: Duration,
    what: What<'a>,
}

enum What<'a> {
    Acked { warnings: &'a [Finding], validate: Option<Duration>, activate: Option<Duration> },
    Nacked(&'a NackReason),
}

/// Records the batch and answers what is confirmed, in the order of the answers in it. An answer about a generation
/// that was never assigned is confirmed too: repeating it would help nobody.
///
/// # Errors
/// [`StoreError`]; then nothing of the batch was recorded and the agents repeat it.
pub async fn record_reports(
    context: &Context,
    records: Vec<ReportRecord>,
) -> Result<Vec<Confirmed>, StoreError> {
    let lineage = context.store.lineage();
    let said: Vec<Said<'_>> =
        records.iter().filter(|record| record.lineage == lineage).flat_map(said).collect();
    let observed = observed(&records, lineage);
    let changed = if said.is_empty() && observed.is_empty() {
        false
    } else {
        let (said, observed) = (&said, &observed);
        context
            .store
            .in_tx("record_reports", async |mut tx| {
                let keys: Vec<_> = said
                    .iter()
                    .map(|said| ActivationKey::new(said.record.gateway, said.generation))
                    .collect();
                let loaded = activation_load(&mut tx, &keys).await?;
                let answers = decide(loaded, said);
                activation_answer(&mut tx, &answers).await?;
                gateway_observe(&mut tx, observed).await?;
                let keys: Vec<_> = answers.iter().map(|answer| answer.key).collect();
                activation_tell(&mut tx, &keys).await?;
                Ok::<_, StoreError>((tx, !answers.is_empty()))
            })
            .await?
    };
    if changed {
        context.wake.tell();
    }
    Ok(records.iter().filter_map(confirmed).collect())
}

fn confirmed(record: &ReportRecord) -> Option<Confirmed> {
    let answered = record.answered.as_ref()?;
    Some(Confirmed { gateway: record.gateway, generation: answered.generation })
}

/// What a gateway says it runs is the truth: it counts as an ack, should the ack itself have been lost.
fn said(record: &ReportRecord) -> impl Iterator<Item = Said<'_>> {
    let answer = record.answered.as_ref().map(|answered| Said {
        record,
        generation: answered.generation,
        digest: answered.digest,
        ago: answered.ago,
        what: match &answered.acknowledgement {
            Acknowledgement::Ack { warnings } => {
                What::Acked { warnings, validate: answered.validate, activate: answered.activate }
            }
            Acknowledgement::Nack(reason) => What::Nacked(reason),
        },
    });
    let running = record.running.as_ref().map(|running| Said {
        record,
        generation: running.generation,
        digest: running.digest,
        ago: running.ago,
        what: What::Acked { warnings: &[], validate: None, activate: None },
    });
    answer.into_iter().chain(running)
}

/// The newest that each gateway said it runs.
fn observed(records: &[ReportRecord], lineage: Lineage) -> Vec<ObservedRow> {
    let mut newest: BTreeMap<GatewayId, ObservedRow> = BTreeMap::new();
    for record in records.iter().filter(|record| record.lineage == lineage) {
        let Some(running) = &record.running else { continue };
        let mut row = ObservedRow {
            gateway: record.gateway,
            boot: record.boot,
            session_counter: record.session_counter,
            generation: running.generation,
            digest: running.digest,
            version: running.version.clone(),
            ago: running.ago,
            from_hello: running.from_hello,
        };
        match newest.get(&record.gateway) {
            Some(held) if held.generation > row.generation && !row.from_hello => {}
            Some(held) => {
                // What the same stream says behind its hello does not unsay it.
                row.from_hello |=
                    held.from_hello && (held.boot, held.session_counter) == (row.boot, row.session_counter);
                newest.insert(record.gateway, row);
            }
            None => {
                newest.insert(record.gateway, row);
            }
        }
    }
    newest.into_values().collect()
}

/// Moves the loaded activations forward. Several answers about one in the same batch become its newest state.
fn decide(loaded: Vec<LoadedActivation>, said: &[Said<'_>]) -> Vec<AnswerRow> {
    let mut activations: BTreeMap<ActivationKey, LoadedActivation> =
        loaded.into_iter().map(|activation| (activation.key, activation)).collect();
    let mut answers: BTreeMap<ActivationKey, AnswerRow> = BTreeMap::new();
    for said in said {
        let key = ActivationKey::new(said.record.gateway, said.generation);
        let Some(activation) = activations.get_mut(&key) else { continue };
        if activation.digest != said.digest {
            tracing::warn!(gateway = %said.record.gateway, generation = %said.generation, digest = %said.digest,
                "a gateway answered for other bytes than were assigned; ignored");
            continue;
        }
        let event = match &said.what {
            What::Acked { .. } => ActivationEvent::Acked,
            What::Nacked(reason) if is_of_a_later_process(said, activation) => {
                ActivationEvent::NackedLater(reason.stage)
            }
            What::Nacked(reason) => ActivationEvent::Nacked(reason.stage),
        };
        let Some(state) = transition(activation.state, event) else { continue };
        activation.state = state;
        let left = activation.leaves.filter(|_| matches!(event, ActivationEvent::Acked));
        answers.insert(key, answer(key, state, said));
        // It is on its way back and has arrived: what it ran forward was left.
        if let Some(forward) = left
            && let Some(activation) = activations.get_mut(&forward)
            && let Some(state) = transition(activation.state, ActivationEvent::Left)
        {
            activation.state = state;
            answers.insert(forward, AnswerRow::left(forward, state, said.generation));
        }
    }
    answers.into_values().collect()
}

/// Another process than the one that answered before, and it runs something else.
fn is_of_a_later_process(said: &Said<'_>, activation: &LoadedActivation) -> bool {
    let other_process = activation.boot.is_some_and(|boot| boot != said.record.boot);
    let runs = said.record.running.as_ref().map(|running| running.generation);
    other_process && runs != Some(said.generation)
}

fn answer(key: ActivationKey, state: fleet_core::activation::ActivationState, said: &Said<'_>) -> AnswerRow {
    let mut row = AnswerRow::new(key, state);
    row.ago = said.ago;
    row.boot = Some(said.record.boot);
    row.agent_version = Some(said.record.agent_version.clone());
    match &said.what {
        What::Acked { warnings, validate, activate } => {
            row.warnings = warnings.to_vec();
            row.validate = *validate;
            row.activate = *activate;
        }
        What::Nacked(reason) => {
            row.reason.clone_from(&reason.reason);
            row.findings.clone_from(&reason.findings);
        }
    }
    row
}
