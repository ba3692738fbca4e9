//! A history that another program keeps: nobody waits for it for long, and what waits is no crash.

use instance::lock::Lock;

use super::*;

fn keep_history(dir: &Path) -> Lock {
    Lock::wait(&dir.join("history.lock")).unwrap()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_answer_of_a_refused_order_says_that_the_history_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    fs::create_dir(dir.path().join("history.jsonl")).unwrap();
    let order = |change| running.handle.order(Asked::by("root", Action::Reload), change);
    for (change, expected) in [
        (LocalChange::Revert, OrderError::NothingToRevert.to_string()),
        (LocalChange::Load(b"pack: [\n".to_vec()), "refused at stage lint".to_owned()),
    ] {
        let error = order(change).await.unwrap_err();
        assert!(error.to_string().starts_with(&expected), "{error}");
        let OrderError::Untold { warning, .. } = error else { panic!("{error:?}") };
        assert_eq!((warning.code.as_str(), warning.severity.as_str()), ("H001", "warning"));
    }
}

#[tokio::test]
async fn what_is_so_is_seen_while_the_history_keeps_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let kept = keep_history(dir.path());
    let loading = load(&running, "0.1.0");
    let mut records = running.handle.watch();
    let seen = async {
        let active = Some(ConfigDigest::of(&pack("0.1.0")));
        records.wait_for(|record| record.active == active).await.unwrap();
    };
    tokio::select! {
        biased;
        _ = loading => panic!("it was answered before it was seen"),
        () = seen => {}
    }
    // The order is carried out all the same; the next one is behind it.
    let failing = load(&running, "no version");
    let seen = async {
        records.wait_for(|record| record.last_failure.is_some()).await.unwrap();
    };
    tokio::select! {
        biased;
        _ = failing => panic!("it was answered before it was seen"),
        () = seen => {}
    }
    drop(kept);
}

#[tokio::test]
async fn an_end_that_waits_for_the_history_is_an_end_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_proving(dir.path(), LONG).await;
    apply(&running, "0.1.0").await;
    let kept = keep_history(dir.path());
    let orders: Vec<_> = (0..8)
        .map(|_| {
            let (answer, outcome) = tokio::sync::oneshot::channel();
            let (asked, change) = (Asked::by("root", Action::Revert), LocalChange::Revert);
            (handle::Order { asked, change, answer }, outcome)
        })
        .collect();
    let mut outcomes = Vec::new();
    for (order, outcome) in orders {
        running.handle.send(handle::Event::Ordered(order)).await.unwrap();
        outcomes.push(outcome);
    }
    running.trigger.start();
    let standing = dir.path().join("standing.json");
    let ended = || fs::read_to_string(&standing).unwrap().contains(r#""running":false"#);
    until("the end in order is noted", ended).await;
    let waiting = outcomes.last_mut().unwrap();
    assert!(waiting.try_recv().is_err(), "before those that wait are told");
    // Each alone they would wait for the history eight times.
    let began = Instant::now();
    let last = outcomes.pop().unwrap().await.unwrap();
    assert!(matches!(last, Err(OrderError::Untold { .. })), "{last:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    running.task.await.unwrap();
    drop(kept);
    let again = start_proving(dir.path(), LONG).await;
    assert!(!again.handle.record().kept[0].crashed);
}

#[tokio::test]
async fn what_the_history_did_not_take_is_told_by_the_next_start_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("history.jsonl");
    let history = History::at(in_the_way.clone());
    let running = start_proving(dir.path(), LONG).await;
    apply(&running, "0.1.0").await;
    apply(&running, "0.2.0").await;
    let told = history.read().unwrap().records;
    fs::remove_file(&in_the_way).unwrap();
    fs::create_dir(&in_the_way).unwrap();
    // What is no change of what runs is in the answer and in the log alone.
    running
        .handle
        .order(Asked::by("root", Action::Reload), LocalChange::Load(b"no".to_vec()))
        .await
        .unwrap_err();
    let order = running.handle.order(Asked::by("root", Action::Revert), LocalChange::Revert).await;
    let given_up = order.unwrap();
    assert_eq!(given_up.findings.last().unwrap().code, "H001");
    running.crash().await;
    fs::remove_dir(&in_the_way).unwrap();
    for record in &told {
        history.append(record).unwrap();
    }
    for _ in 0..3 {
        start_proving(dir.path(), LONG).await.end().await;
        let now = history.read().unwrap().records;
        let [.., last] = now.as_slice() else { panic!("{now:?}") };
        assert_eq!(now.len(), told.len() + 1, "{now:?}");
        assert_eq!(
            last,
            &HistoryRecord {
                findings: Vec::new(),
                at: last.at,
                duration_ms: last.duration_ms,
                ..given_up.clone()
            }
        );
    }
}

#[tokio::test]
async fn a_revert_to_what_is_not_known_to_run_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_proving(dir.path(), LONG).await;
    apply(&running, "0.1.0").await;
    running.crash().await;
    let running = start_proving(dir.path(), LONG).await;
    apply(&running, "0.2.0").await;
    let revert = || running.handle.order(Asked::by("root", Action::Revert), LocalChange::Revert);
    let told = revert().await.unwrap();
    let [warning] = told.findings.as_slice() else { panic!("{told:?}") };
    assert_eq!((warning.code.as_str(), warning.severity.as_str()), ("H002", "warning"));
    assert!(warning.message.contains("0.1.0"), "{warning:?}");
    assert_eq!(History::at(dir.path().join("history.jsonl")).read().unwrap().records.pop(), Some(told));
    apply(&running, "0.3.0").await;
    apply(&running, "0.4.0").await;
    assert_eq!(revert().await.unwrap().findings, [], "a good one");
}

#[tokio::test]
async fn what_was_told_is_not_told_by_the_next_start_whatever_the_disk_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_proving(dir.path(), LONG).await;
    apply(&running, "0.1.0").await;
    let standing = fs::read_to_string(dir.path().join("standing.json")).unwrap();
    assert!(
        standing.contains("untold"),
        "it is kept with the change, and nothing was kept since: {standing}"
    );
    running.crash().await;
    start_proving(dir.path(), LONG).await.end().await;
    assert_eq!(History::at(dir.path().join("history.jsonl")).read().unwrap().records.len(), 1);
    let standing = fs::read_to_string(dir.path().join("standing.json")).unwrap();
    assert!(!standing.contains("untold"), "{standing}");
}
