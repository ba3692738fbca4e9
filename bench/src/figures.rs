//! Numbers out of measurements: percentiles, a slope, what a process holds.

use std::time::Duration;

use anyhow::Context;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) rss_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
}

// === impl Held ===

impl Held {
    /// From `/proc`.
    pub(crate) fn by(pid: u32) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |key: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).context("an unknown /proc")?;
            Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
        };
        Ok(Self {
            rss_kib: number("VmRSS:")?,
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            threads: number("Threads:")?,
        })
    }
}

/// What a process and its children have used of the processor.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let mut used = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        // A thread may end while it is read.
        let told = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        used += Duration::from_nanos(told.split(' ').next().unwrap_or_default().parse().unwrap_or_default());
        let children = std::fs::read_to_string(task.join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            used += processor_time(child.parse()?).unwrap_or_default();
        }
    }
    Ok(used)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The value below which `share` (0..=1) of the sorted measurements lie.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (share * last as f64).round() as usize;
    sorted.get(at.min(last)).copied().unwrap_or_default()
}

/// `p50 1.20 p99 3.40 max 9.00 ms`
pub(crate) fn shown(mut measured: Vec<Duration>) -> String {
    measured.sort();
    let ms = |span: Duration| span.as_secs_f64() * 1e3;
    format!(
        "p50 {:.2} p99 {:.2} max {:.2} ms (n {})",
        ms(percentile(&measured, 0.5)),
        ms(percentile(&measured, 0.99)),
        ms(measured.last().copied().unwrap_or_default()),
        measured.len()
    )
}

/// Least squares: how much `y` grows for one of `x`.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), (x, y)| {
        (over + (x - mean_x) * (y - mean_y), under + (x - mean_x).powi(2))
    });
    if under == 0.0 { 0.0 } else { over / under }
}
