//! Histograms of fixed buckets: recording is two additions, whoever scrapes or does not, and nothing piles up between
//! two scrapes. One set a process, as the recorder of all other metrics is.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::label;

/// Upper ends of the buckets, microseconds: from a policy's work to a slow provider's.
const ENDS: [u64; 21] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
const PHASES: [&str; 2] = ["input", "output"];
const KINDS: [&str; 7] =
    ["prompt-injection", "pii-detector", "dlp-filter", "rate-limit", "model-access", "audit-logger", OTHER];
/// Targets that have a series of their own; those beyond share one.
const MOST_TARGETS: usize = 64;
const OTHER: &str = "other";

/// Everything that is timed.
#[derive(Default)]
pub struct Timings {
    policies: [[Histogram; PHASES.len()]; KINDS.len()],
    inspections: [Histogram; PHASES.len()],
    /// By target of the pack in force, which has them at hand for its calls.
    upstream: Mutex<Vec<(String, Arc<Histogram>)>>,
    first_byte: Histogram,
    requests: Histogram,
}

/// One series.
#[derive(Default)]
pub struct Histogram {
    counts: [AtomicU64; ENDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// The one set of this process.
pub fn timings() -> &'static Timings {
    static TIMINGS: OnceLock<Timings> = OnceLock::new();
    TIMINGS.get_or_init(Timings::default)
}

// === impl Timings ===

impl Timings {
    /// What one policy took of one body.
    pub fn policy(&self, kind: &str, phase: &str, took: Duration) {
        let at = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len() - 1);
        if let Some(histogram) = self.policies.get(at).and_then(|phases| by_phase(phases, phase)) {
            histogram.record(took);
        }
    }

    /// What the whole chain took of one body or stream, reading it included.
    pub fn inspection(&self, phase: &str, took: Duration) {
        if let Some(histogram) = by_phase(&self.inspections, phase) {
            histogram.record(took);
        }
    }

    /// From a request's arrival to the first byte of its answer.
    pub fn first_byte(&self, took: Duration) {
        self.first_byte.record(took);
    }

    /// From a request's arrival to the last byte of its answer.
    pub fn request(&self, took: Duration) {
        self.requests.record(took);
    }

    /// From a call to the response head, for each target of the pack in force. Series of other targets are gone; those
    /// that stay go on.
    pub fn series_of<'n>(&self, targets: impl Iterator<Item = &'n str> + Clone) -> Vec<Arc<Histogram>> {
        let mut all = self.upstream.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| known == OTHER || targets.clone().any(|target| target == known));
        let mut series = |name: &str| {
            if let Some(histogram) = find(&all, name) {
                return Some(histogram);
            }
            if name != OTHER && all.iter().filter(|(known, _)| known != OTHER).count() >= MOST_TARGETS {
                return None;
            }
            let histogram = Arc::<Histogram>::default();
            all.push((name.to_owned(), Arc::clone(&histogram)));
            Some(histogram)
        };
        targets.map(|target| series(target).or_else(|| series(OTHER)).unwrap_or_default()).collect()
    }

    /// The same for a pack that is not in force any more: what has no series is not counted.
    pub fn known<'n>(&self, targets: impl Iterator<Item = &'n str>) -> Vec<Arc<Histogram>> {
        let all = self.upstream.lock().unwrap_or_else(PoisonError::into_inner);
        targets.map(|target| find(&all, target).unwrap_or_default()).collect()
    }

    /// As Prometheus reads it. A series appears with its first value.
    pub fn render(&self, text: &mut String) {
        let name = "kt_gateway_policy_seconds";
        head(text, name, "What one policy took of one body, by kind and phase");
        for (kind, phases) in KINDS.iter().zip(&self.policies) {
            for (phase, histogram) in PHASES.iter().zip(phases) {
                histogram.render(text, name, &format!("kind=\"{kind}\",phase=\"{phase}\""));
            }
        }
        let name = "kt_gateway_inspection_seconds";
        head(text, name, "What all policies took of one body or stream, reading it included");
        for (phase, histogram) in PHASES.iter().zip(&self.inspections) {
            histogram.render(text, name, &format!("phase=\"{phase}\""));
        }
        let name = "kt_gateway_upstream_seconds";
        head(text, name, "From a call to the provider's response head, by target");
        let targets = self.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (target, histogram) in targets {
            histogram.render(text, name, &format!("target=\"{}\"", label(&target)));
        }
        let name = "kt_gateway_first_byte_seconds";
        head(text, name, "From a request's arrival to the first byte of its answer");
        self.first_byte.render(text, name, "");
        let name = "kt_gateway_request_seconds";
        head(text, name, "From a request's arrival to the last byte of its answer");
        self.requests.render(text, name, "");
    }
}

fn find(all: &[(String, Arc<Histogram>)], name: &str) -> Option<Arc<Histogram>> {
    all.iter().find(|(known, _)| known == name).map(|(_, histogram)| Arc::clone(histogram))
}

fn by_phase<'a>(phases: &'a [Histogram; PHASES.len()], phase: &str) -> Option<&'a Histogram> {
    PHASES.iter().position(|known| *known == phase).and_then(|at| phases.get(at))
}

fn head(text: &mut String, name: &str, help: &str) {
    // Writing into a String cannot fail.
    let _ = write!(text, "# HELP {name} {help}.\n# TYPE {name} histogram\n");
}

// === impl Histogram ===

impl Histogram {
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = ENDS.partition_point(|end| *end < micros);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn render(&self, text: &mut String, name: &str, labels: &str) {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return;
        }
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        for (end, count) in ENDS.iter().zip(counts) {
            below += count;
            let end = *end as f64 / 1e6;
            let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{end}\"}} {below}");
        }
        let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {total}");
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let seconds = self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
        let _ = writeln!(text, "{name}_sum{braces} {seconds}\n{name}_count{braces} {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_a_value_at_an_end_is_within() {
        let timings = Timings::default();
        for micros in [1, 10, 11, 70_000_000] {
            timings.policy("pii-detector", "output", Duration::from_micros(micros));
        }
        let mut text = String::new();
        timings.render(&mut text);
        let of = |end: &str| {
            let line = format!(
                "kt_gateway_policy_seconds_bucket{{kind=\"pii-detector\",phase=\"output\",le=\"{end}\"}} "
            );
            text.lines()
                .find_map(|found| found.strip_prefix(&line))
                .unwrap_or_else(|| panic!("{text}"))
                .to_owned()
        };
        assert_eq!([of("0.00001"), of("0.000025"), of("60"), of("+Inf")], ["2", "3", "3", "4"]);
        assert!(
            text.contains(
                "kt_gateway_policy_seconds_sum{kind=\"pii-detector\",phase=\"output\"} 70.000022\n"
            )
        );
        assert!(!text.contains("prompt-injection"), "a series appears with its first value");
    }

    #[test]
    fn targets_beyond_the_bound_share_a_series() {
        let timings = Timings::default();
        let names: Vec<String> = (0..MOST_TARGETS + 10).map(|number| format!("t{number}\"")).collect();
        for histogram in timings.series_of(names.iter().map(String::as_str)) {
            histogram.record(Duration::from_millis(1));
        }
        let mut text = String::new();
        timings.render(&mut text);
        assert!(text.contains("kt_gateway_upstream_seconds_count{target=\"t0\\\"\"} 1\n"), "{text}");
        assert!(text.contains("kt_gateway_upstream_seconds_count{target=\"other\"} 10\n"), "{text}");
        assert_eq!(text.matches("kt_gateway_upstream_seconds_count").count(), MOST_TARGETS + 1);
    }

    #[test]
    fn series_go_with_their_targets_and_make_room() {
        let timings = Timings::default();
        let names = |pack: usize| -> Vec<String> {
            (0..MOST_TARGETS)
                .map(|number| if number == 0 { "kept".to_owned() } else { format!("p{pack}-{number}") })
                .collect()
        };
        for pack in 0..3 {
            let names = names(pack);
            for histogram in timings.series_of(names.iter().map(String::as_str)) {
                histogram.record(Duration::from_millis(1));
            }
        }
        // Late, of a pack that was replaced.
        for histogram in timings.known(["kept", "p0-1"].into_iter()) {
            histogram.record(Duration::from_millis(1));
        }
        let mut text = String::new();
        timings.render(&mut text);
        assert!(text.contains("kt_gateway_upstream_seconds_count{target=\"kept\"} 4\n"), "{text}");
        assert!(
            text.contains("target=\"p2-63\"") && !text.contains("p1-") && !text.contains("p0-"),
            "{text}"
        );
        assert!(!text.contains("target=\"other\""), "{text}");
    }
}
