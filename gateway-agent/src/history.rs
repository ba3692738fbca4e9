//! Telling the history how something ended: patiently, for it is shared with other programs, and not without end, for
//! one of them may hold its lock and be stopped.

use std::io;
use std::time::Duration;

use instance::documents::Finding;
use instance::{History, HistoryRecord};
use policy_config::Severity;

/// So long whoever waits for an answer waits for the history, too. What is not written then is written when its lock is
/// let go of, if that happens soon.
const PATIENCE: Duration = Duration::from_secs(2);
/// The code of the warning that an answer carries which the history does not.
const NOT_WRITTEN: &str = "H001";

/// Appends these, away from the threads that serve.
///
/// # Errors
/// They are not there, and why: the log has it, and this is for the answer. What they tell came to pass all the same.
pub(crate) async fn tell(history: &History, records: Vec<HistoryRecord>) -> Result<(), Finding> {
    let lines = records.clone();
    let told = with(history, move |history| lines.iter().try_for_each(|line| history.append(line))).await;
    told.map_err(|problem| not_written(&records, &problem))
}

/// As [`tell`], for what may be there already: it is not told twice.
///
/// # Errors
/// As [`tell`].
pub(crate) async fn tell_once(history: &History, record: HistoryRecord) -> Result<(), Finding> {
    let line = record.clone();
    let told = with(history, move |history| {
        let is_there = history.read()?.records.iter().any(|told| told.id == line.id);
        if is_there { Ok(()) } else { history.append(&line) }
    });
    told.await.map_err(|problem| not_written(&[record], &problem))
}

async fn with(
    history: &History,
    write: impl FnOnce(&History) -> io::Result<()> + Send + 'static,
) -> Result<(), String> {
    let history = history.clone();
    let writing = tokio::task::spawn_blocking(move || write(&history));
    match tokio::time::timeout(PATIENCE, writing).await {
        Ok(Ok(written)) => written.map_err(|error| error.to_string()),
        Ok(Err(_)) => Err("the gateway is stopping".to_owned()),
        Err(_) => Err("another program holds its lock; it is written if that lets go soon".to_owned()),
    }
}

fn not_written(records: &[HistoryRecord], problem: &str) -> Finding {
    for HistoryRecord { id, action, outcome, actor, .. } in records {
        tracing::warn!(id, ?action, ?outcome, actor, "not in history.jsonl: {problem}");
    }
    Finding {
        code: NOT_WRITTEN.to_owned(),
        severity: Severity::Warning.as_str().to_owned(),
        path: String::new(),
        line: 0,
        column: 0,
        message: format!("this is not in history.jsonl: {problem}"),
        suggestion: "what is said here came to pass all the same; see to the disk".to_owned(),
    }
}
