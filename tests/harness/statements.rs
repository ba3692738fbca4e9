//! Counts the SQL statements of this process, by their text: what a fleet costs its database. One count a process,
//! so a test that counts is alone in its binary.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Statement → how often it ran.
static COUNTS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// What ran between two looks.
#[derive(Debug, Clone, Default)]
pub struct Statements(BTreeMap<String, u64>);

struct Counter;

#[derive(Default)]
struct Summary(String);

/// Starts to count.
///
/// # Panics
/// When this process has another subscriber.
pub fn count() {
    tracing::subscriber::set_global_default(Counter).expect("the only subscriber of this process");
}

/// Forgets what ran so far.
pub fn begin() {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What ran since [`begin`].
pub fn so_far() -> Statements {
    Statements(COUNTS.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

// === impl Statements ===

impl Statements {
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The statement that ran most often.
    pub fn most(&self) -> u64 {
        self.0.values().copied().max().unwrap_or_default()
    }
}

impl fmt::Display for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        lines.iter().try_for_each(|(statement, count)| writeln!(f, "{count:6}  {statement}"))
    }
}

// === impl Counter ===

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        let mut summary = Summary::default();
        event.record(&mut summary);
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(summary.0).or_default() += 1;
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

// === impl Summary ===

impl Visit for Summary {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            self.0 = value.to_owned();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
