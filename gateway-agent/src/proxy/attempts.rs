//! One request over the targets that may be asked: who is asked first, and who next where one fails.
//!
//! All of this happens before a byte goes to the client. What a provider says of the request itself is an answer, and
//! a client that leaves drops this future, and with it the call.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use policy_config::schema::{FallbackTrigger, RoutingStrategy};
use policy_engine::Target;
use policy_engine::routing::{Candidates, TargetSet, choose};
use tokio::time::Instant;

use super::Proxy;
use super::inspect::Exchange;
use super::limits::Cost;
use super::provider_answer::{self, ProviderAnswer, Reading};
use super::record::Record;
use super::reply::Refusal;
use super::targets::{Permit, Station, Stations, StreamPermit, seconds};
use super::upstream::UpstreamFailure;

/// A request as it may be sent.
pub(super) struct Question {
    pub(super) candidates: Candidates,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The target that is called now.
struct Called<'a> {
    target: &'a Target,
    station: &'a Station,
    permit: Permit<'a>,
}

/// What came of a request.
pub(super) struct Answered<'a> {
    pub(super) answer: ProviderAnswer,
    /// Who gave it.
    pub(super) target: &'a Target,
    /// Of a stream, which has only begun.
    pub(super) permit: Option<StreamPermit>,
}

/// What is left of the choice.
struct Choice<'a> {
    exchange: &'a Exchange,
    stations: &'a Stations,
    open: TargetSet,
    /// Of all attempts.
    turn: u64,
    /// The first that will be free again, of those that were passed over.
    soonest: Option<std::time::Duration>,
}

// === impl Proxy ===

impl Proxy {
    /// A failure is the last one's.
    pub(super) async fn ask<'a>(
        &self,
        exchange: &'a Exchange,
        question: Question,
        record: &mut Record,
    ) -> Result<Answered<'a>, Refusal> {
        let engine = exchange.engine();
        let fallback = engine.fallback();
        let ends_by = fallback.total_timeout.map(|total| Instant::now() + total);
        let stations = self.targets.stations(&exchange.policy, &self.live);
        let mut choice = Choice::of(exchange, stations, &question.candidates);
        let Question { mut headers, body, candidates } = question;
        if choice.open.is_empty() {
            return Err(self.down(exchange, &candidates, record));
        }
        let Some(mut called) = choice.next(self.targets.now()) else {
            let retry_after = seconds(choice.soonest.unwrap_or_default());
            return Err(Refusal::TargetsUnavailable { retry_after });
        };
        called.station.lane().count_request(self.targets.now());
        let mut attempts = 0_u8;
        loop {
            attempts = attempts.saturating_add(1);
            record.target(&called.target.id.0);
            record.attempts(attempts);
            let target = called.target;
            let lane = called.station.lane();
            called.station.count_attempt();
            let is_last = choice.open.is_empty() || attempts >= fallback.max_attempts;
            let sent = if is_last { std::mem::take(&mut headers) } else { headers.clone() };
            let answer = self.call_once(exchange, called, sent, body.clone(), ends_by, record).await;
            let trigger = match &answer {
                Ok((answer, _)) => trigger_of(answer),
                Err(failure) => failure.trigger(),
            };
            let may_go_on = trigger.is_some_and(|trigger| fallback.triggers.contains(&trigger))
                && !is_last
                && ends_by.is_none_or(|ends_by| Instant::now() < ends_by);
            let next = if may_go_on { choice.next(self.targets.now()) } else { None };
            match (next, trigger) {
                (Some(next), Some(trigger)) if lane.may_go_on(self.targets.now()) => {
                    self.metrics.fell_back(&target.id, trigger);
                    if let Some(unsaid) = lane.moves().speaks(self.targets.now()) {
                        tracing::info!(from = %target.id, to = %next.target.id, attempts, unsaid, "a request goes to the next target");
                    }
                    called = next;
                }
                _ => return Ok(answer.map(|(answer, permit)| Answered { answer, target, permit })?),
            }
        }
    }

    async fn call_once(
        &self,
        exchange: &Exchange,
        called: Called<'_>,
        headers: HeaderMap,
        body: Bytes,
        ends_by: Option<Instant>,
        record: &mut Record,
    ) -> Result<(ProviderAnswer, Option<StreamPermit>), UpstreamFailure> {
        let Called { target, station, permit } = called;
        let begun = Instant::now();
        let whole = begun + target.timeouts.whole;
        let deadline = ends_by.map_or(whole, |ends_by| whole.min(ends_by));
        record.costs(Some(Cost::Called));
        let answering = async {
            let call = self.upstream.call((station, target), exchange.endpoint, headers, body, deadline);
            let response = call.await?;
            record.heard(station.timing());
            let guarded = exchange.engine().guards_responses();
            let limit = self.settings.max_response;
            let reading = Reading { guarded, limit, deadline, budget: &self.body_budget };
            provider_answer::read(response, target, reading).await
        };
        let answer = answering.await;
        record.costs(None);
        if let Err(failure) = &answer {
            record.tell(Some(station.lane()), failure);
        }
        match &answer {
            Ok(ProviderAnswer::Stream(_)) => {
                let permit = permit.streams(station.lane());
                return answer.map(|answer| (answer, Some(permit)));
            }
            Ok(_) => permit.succeeded(),
            // It was given less than its own time, and used that up: that says nothing of it.
            Err(UpstreamFailure::TimedOut { .. }) if deadline < whole && Instant::now() >= deadline => {
                drop(permit)
            }
            Err(failure) if failure.trigger().is_some() => {
                permit.failed(self.targets.now(), exchange.engine().circuit_breaker());
            }
            // A certificate, a key, a setting: nothing that a cooldown mends.
            Err(_) => drop(permit),
        }
        answer.map(|answer| (answer, None))
    }

    /// No candidate has what it needs on this host.
    fn down(&self, exchange: &Exchange, candidates: &Candidates, record: &mut Record) -> Refusal {
        let targets = exchange.engine().targets();
        let first = candidates.targets.iter().find_map(|index| targets.get(index));
        let Some((target, lacks)) = first.and_then(|target| Some((target, target.lacks()?))) else {
            return Refusal::TargetsUnavailable { retry_after: 1 };
        };
        record.target(&target.id.0);
        let unsaid = exchange.lane(&target.id.0).and_then(|lane| lane.failures().speaks(self.targets.now()));
        if let Some(unsaid) = unsaid {
            tracing::warn!(target = %target.id, secret = %lacks, unsaid, "a request met a target that lacks its key or certificates");
        }
        Refusal::TargetDown { target: target.id.to_string() }
    }
}

// === impl Choice ===

impl<'a> Choice<'a> {
    fn of(exchange: &'a Exchange, stations: &'a Stations, candidates: &Candidates) -> Self {
        let engine = exchange.engine();
        let is_up =
            |index: &usize| engine.targets().get(*index).is_some_and(|target| target.lacks().is_none());
        let turn = match engine.routing() {
            RoutingStrategy::Ordered => 0,
            RoutingStrategy::RoundRobin => {
                let first = candidates.targets.iter().next().and_then(|index| stations.get(index));
                first.map_or(0, |station| station.lane().turn())
            }
            RoutingStrategy::Weighted => fastrand::u64(..),
        };
        let open = candidates.targets.iter().filter(is_up).collect();
        Self { exchange, stations, open, turn, soonest: None }
    }

    /// The next that may be called; who was chosen is not chosen again.
    fn next(&mut self, now: u64) -> Option<Called<'a>> {
        let engine = self.exchange.engine();
        let weight = |index: usize| engine.targets().get(index).map_or(1, |target| target.weight);
        loop {
            let index = choose(engine.routing(), &self.open, self.turn, weight)?;
            self.open.remove(index);
            let (Some(target), Some(station)) = (engine.targets().get(index), self.stations.get(index))
            else {
                continue;
            };
            match station.lane().admit(&target.id, now) {
                Ok(permit) => return Some(Called { target, station, permit }),
                Err(wait) => self.soonest = Some(self.soonest.map_or(wait, |soonest| soonest.min(wait))),
            }
        }
    }
}

/// What of a pack's `fallback.triggers` an answer is.
fn trigger_of(answer: &ProviderAnswer) -> Option<FallbackTrigger> {
    match answer {
        ProviderAnswer::Rejected(reply) if reply.status == StatusCode::TOO_MANY_REQUESTS => {
            Some(FallbackTrigger::RateLimit)
        }
        _ => None,
    }
}
