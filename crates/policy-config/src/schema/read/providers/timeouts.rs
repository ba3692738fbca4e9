//! Reads the times of a target.

use std::time::Duration;

use super::super::fields::Fields;
use crate::lint::collector::Collector;
use crate::schema::providers::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_TIMEOUT};

/// What a target says of its times, defaults filled in.
pub(super) struct Timeouts {
    pub(super) whole: Duration,
    pub(super) connect: Duration,
    pub(super) first_byte: Duration,
    pub(super) idle: Duration,
}

pub(super) fn read(fields: &Fields<'_>, findings: &mut Collector) -> Option<Timeouts> {
    let whole = fields.get("timeout").map_or(Some(DEFAULT_TIMEOUT), |field| field.duration(findings));
    let limit = whole.unwrap_or(Duration::MAX);
    let connect = part(fields, "connect_timeout", limit, findings);
    let first_byte = part(fields, "first_byte_timeout", limit, findings);
    let idle = fields.get("idle_timeout").map(|field| field.duration(findings));
    let whole = whole?;
    Some(Timeouts {
        whole,
        connect: connect.unwrap_or_else(|| Some(DEFAULT_CONNECT_TIMEOUT.min(whole)))?,
        first_byte: first_byte.unwrap_or(Some(whole))?,
        idle: idle.unwrap_or(Some(whole))?,
    })
}

/// A time that can only be reached within the whole.
fn part(
    fields: &Fields<'_>,
    key: &str,
    whole: Duration,
    findings: &mut Collector,
) -> Option<Option<Duration>> {
    let field = fields.get(key)?;
    let duration = field.duration(findings);
    if duration.is_some_and(|duration| duration > whole) {
        let message =
            format!("`{}` is longer than the target's `timeout`, which ends the call first", field.path);
        return Some(field.bad_value(message, "lower it, or raise `timeout`", findings));
    }
    Some(duration)
}
