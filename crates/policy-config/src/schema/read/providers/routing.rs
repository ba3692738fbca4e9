//! Reads how requests are spread over targets: strategy, weights, fallback, circuit breaker.

use std::ops::RangeInclusive;

use super::super::fields::{Field, Fields};
use crate::lint::collector::Collector;
use crate::lint::rules;
use crate::schema::providers::{CircuitBreaker, Fallback, FallbackTrigger, RoutingStrategy};
use crate::tree::Meaning;

const MAX_ATTEMPTS: RangeInclusive<u32> = 1..=5;
const WEIGHT: RangeInclusive<u32> = 1..=1000;
const THRESHOLD: RangeInclusive<u32> = 1..=1000;

pub(super) fn read_routing(field: &Field<'_>, findings: &mut Collector) -> Option<RoutingStrategy> {
    let fields = Fields::of(field, &["strategy"], findings)?;
    let Some(strategy) = fields.get("strategy") else { return Some(RoutingStrategy::default()) };
    strategy.choice(&words(RoutingStrategy::ALL, RoutingStrategy::as_str), findings)
}

pub(super) fn read_weight(
    field: &Field<'_>,
    routing: RoutingStrategy,
    findings: &mut Collector,
) -> Option<u32> {
    let weight = read_count(field, WEIGHT, findings);
    // one is what every target has
    if weight.is_some_and(|weight| weight > 1) && routing != RoutingStrategy::Weighted {
        let message =
            format!("`{}` has no effect: `providers.routing.strategy` is {}", field.path, routing.as_str());
        let suggestion = "write routing: {strategy: weighted}, or remove the weight";
        findings.add(rules::UNUSED_WEIGHT, &field.path, field.node.at, message, suggestion);
    }
    weight
}

pub(super) fn read_fallback(field: &Field<'_>, findings: &mut Collector) -> Option<Fallback> {
    let fields = Fields::of(field, &["triggers", "max_attempts", "total_timeout"], findings)?;
    let default = Fallback::default();
    let triggers =
        fields.get("triggers").map_or(Some(default.triggers), |field| read_triggers(&field, findings));
    let max_attempts = fields.get("max_attempts").map_or(Some(default.max_attempts), |field| {
        read_count(&field, MAX_ATTEMPTS, findings).and_then(|count| u8::try_from(count).ok())
    });
    let total_timeout = fields.get("total_timeout").map(|field| field.duration(findings));
    Some(Fallback {
        triggers: triggers?,
        max_attempts: max_attempts?,
        total_timeout: total_timeout.map_or(Some(None), |total| total.map(Some))?,
    })
}

fn read_triggers(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<FallbackTrigger>> {
    let known = words(FallbackTrigger::ALL, FallbackTrigger::as_str);
    let items = field.items("a list of triggers", 16, findings)?;
    let mut triggers = Vec::new();
    let mut sound = true;
    for (index, item) in items.iter().enumerate() {
        let item = field.item(index, item);
        match item.choice(&known, findings) {
            Some(trigger) if triggers.contains(&trigger) => {
                let message = format!("the trigger `{}` is named twice", trigger.as_str());
                sound = item.bad_value::<()>(message, "name it once", findings).is_some();
            }
            Some(trigger) => triggers.push(trigger),
            None => sound = false,
        }
    }
    triggers.sort_unstable();
    sound.then_some(triggers)
}

pub(super) fn read_breaker(field: &Field<'_>, findings: &mut Collector) -> Option<CircuitBreaker> {
    let fields = Fields::of(field, &["failure_threshold", "cooldown"], findings)?;
    let default = CircuitBreaker::default();
    let failure_threshold = fields
        .get("failure_threshold")
        .map_or(Some(default.failure_threshold), |field| read_count(&field, THRESHOLD, findings));
    let cooldown = fields.get("cooldown").map_or(Some(default.cooldown), |field| field.duration(findings));
    Some(CircuitBreaker { failure_threshold: failure_threshold?, cooldown: cooldown? })
}

/// A whole number in a range, in plain digits.
fn read_count(field: &Field<'_>, range: RangeInclusive<u32>, findings: &mut Collector) -> Option<u32> {
    let (least, most) = (range.start(), range.end());
    let Some(scalar) = field.node.as_scalar().filter(|scalar| scalar.meaning() == Meaning::Number) else {
        return field.wrong_type(&format!("a whole number from {least} to {most}"), findings);
    };
    let is_plain = scalar.text.bytes().all(|b| b.is_ascii_digit()) && !scalar.text.starts_with('0');
    match scalar.text.parse() {
        Ok(count) if is_plain && range.contains(&count) => Some(count),
        _ => {
            let message = format!("`{}` must be a whole number from {least} to {most}", field.path);
            field.bad_value(message, &format!("write digits, as {least}"), findings)
        }
    }
}

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Vec<(&'static str, T)> {
    all.iter().map(|value| (word(*value), *value)).collect()
}
