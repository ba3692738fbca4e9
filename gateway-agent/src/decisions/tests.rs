//! The decision log: order, rotation, torn lines, and the end of its writer.

use std::time::Duration;

use service_kit::drain;

use super::{Decision, DecisionLog};

fn event(model: &str) -> Box<Decision> {
    Box::new(Decision { model: Some(model.to_owned()), status: 200, ..Decision::default() })
}

/// The models, by which these tests tell one event from another.
fn ids(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.map(|value| value["model"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everything_recorded_before_the_last_sink_is_gone_is_on_disk_after_the_drain() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.jsonl");
    let (trigger, watcher) = drain::channel();
    let log = DecisionLog::open(&path, &watcher).unwrap();
    let sink = log.sink();
    drop(watcher);
    trigger.start();
    // A request that was in flight when the drain began ends after it.
    for number in 0..100 {
        sink.record(event(&number.to_string()));
    }
    drop(sink);
    trigger.drained(Duration::from_secs(10)).await.unwrap();
    assert_eq!(ids(&path), (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(log.dropped(), 0);
    log.sink().record(event("late"));
    assert_eq!(log.dropped(), 1);
}

#[tokio::test]
async fn a_torn_line_is_closed_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.jsonl");
    std::fs::write(&path, "{\"model\":\"old\"}\n{\"model\":\"to").unwrap();
    let fresh = directory.path().join("fresh.jsonl");
    let (trigger, watcher) = drain::channel();
    for target in [&path, &fresh] {
        DecisionLog::open(target, &watcher).unwrap().sink().record(event("new"));
    }
    drop(watcher);
    trigger.start();
    trigger.drained(Duration::from_secs(10)).await.unwrap();
    assert_eq!(ids(&path), ["old", "new"]);
    assert_eq!(std::fs::metadata(&fresh).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn full_files_are_set_aside_and_only_the_youngest_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.jsonl");
    for number in 0..7 {
        let (trigger, watcher) = drain::channel();
        let log = DecisionLog::open_with_limit(&path, &watcher, 8).unwrap();
        log.sink().record(event(&number.to_string()));
        drop(watcher);
        trigger.start();
        trigger.drained(Duration::from_secs(10)).await.unwrap();
    }
    assert_eq!(ids(&path), ["6"]);
    for (age, model) in [(1, "5"), (2, "4"), (3, "3"), (4, "2")] {
        assert_eq!(ids(&directory.path().join(format!("decisions.jsonl.{age}"))), [model]);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 5, "and none is older");
}

#[tokio::test]
async fn of_two_processes_one_sets_the_full_file_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.jsonl");
    let (trigger, watcher) = drain::channel();
    // Both have the same file open, and it is full for both.
    std::fs::write(&path, "{\"model\":\"older\"}\n").unwrap();
    let logs = ["old process", "new process"].map(|id| {
        let log = DecisionLog::open_with_limit(&path, &watcher, 8).unwrap();
        (log.sink(), id)
    });
    for (sink, id) in logs {
        sink.record(event(id));
        let written = async {
            // For a moment there is none.
            while !std::fs::read_to_string(&path).unwrap_or_default().contains(id) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), written).await.expect("it is written");
    }
    drop(watcher);
    trigger.start();
    trigger.drained(Duration::from_secs(10)).await.unwrap();
    assert_eq!(ids(&directory.path().join("decisions.jsonl.1")), ["older"]);
    assert_eq!(ids(&path), ["old process", "new process"]);
}

#[tokio::test]
async fn what_is_no_file_is_written_and_never_moved() {
    use std::os::unix::fs::FileTypeExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (trigger, watcher) = drain::channel();
    let log = DecisionLog::open_with_limit(&path, &watcher, 8).unwrap();
    for number in 0..3 {
        log.sink().record(event(&number.to_string()));
        tokio::task::yield_now().await;
    }
    drop(watcher);
    trigger.start();
    trigger.drained(Duration::from_secs(10)).await.unwrap();
    assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_written_as_fast_as_the_disk_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.jsonl");
    let (_trigger, watcher) = drain::channel();
    let log = DecisionLog::open(&path, &watcher).unwrap();
    let sink = log.sink();
    let begun = tokio::time::Instant::now();
    for _ in 0..super::QUEUE {
        sink.record(event("m"));
    }
    let lines = || std::fs::read_to_string(&path).unwrap().lines().count();
    // The clock moves only while nobody has anything to do.
    while lines() < super::QUEUE {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(begun.elapsed() < Duration::from_millis(100), "{} lines", lines());
    }
    assert_eq!(log.dropped(), 0);
}

#[tokio::test]
async fn the_content_that_waits_is_bounded_in_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.jsonl");
    let (trigger, watcher) = drain::channel();
    let log = DecisionLog::open(&path, &watcher).unwrap();
    let sink = log.sink();
    let text = "x".repeat(1024 * 1024);
    let large = |model: &str| {
        let (request, response) = (Some(text.clone()), Some(text.clone()));
        Box::new(Decision { request, response, ..*event(model) })
    };
    for number in 0..40 {
        sink.record(large(&number.to_string()));
    }
    let taken = 40 - usize::try_from(log.dropped()).unwrap();
    assert_eq!(taken, super::HELD / text.len() / 2);
    sink.record(event("small"));
    assert_eq!(log.dropped(), 40 - taken as u64, "what has no content is not in the way");
    let written = async {
        while log.held.load(std::sync::atomic::Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), written).await.expect("it is written");
    sink.record(large("later"));
    assert_eq!(log.dropped(), 40 - taken as u64, "what is written makes room");
    drop((sink, watcher));
    trigger.start();
    trigger.drained(Duration::from_secs(10)).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), taken + 2);
}
