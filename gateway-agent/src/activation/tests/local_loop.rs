//! Load, look, go back: what is desired, what runs, what is good, and what the history says of each step.

use instance::documents::{Source, Status};

use super::super::status::{Facts, status};
use super::*;

const KEY_PACK: &str = "0.7.0";

/// A pack whose one target needs the variable `OTHER_API_KEY`.
fn with_key(version: &str) -> Vec<u8> {
    let text = String::from_utf8(pack(version)).unwrap();
    text.replace("model: m,", "model: m, secret_key_ref: {env: OTHER_API_KEY},").into_bytes()
}

async fn order(running: &Running, change: LocalChange) -> Result<HistoryRecord, OrderError> {
    let action = match change {
        LocalChange::Load(_) => Action::Reload,
        LocalChange::Revert => Action::Revert,
    };
    running.handle.order(Asked::by("root", action), change).await
}

async fn revert(running: &Running) -> Result<HistoryRecord, OrderError> {
    order(running, LocalChange::Revert).await
}

fn told(dir: &Path) -> Vec<HistoryRecord> {
    let told = History::at(dir.join("history.jsonl")).read().unwrap();
    assert_eq!(told.unreadable, 0);
    told.records
}

/// Action, outcome, and the version that ran afterwards.
fn outcomes(dir: &Path) -> Vec<(Action, Outcome, Option<String>)> {
    let version = |record: &HistoryRecord| record.observed.as_ref().and_then(|it| it.version.clone());
    told(dir).iter().map(|record| (record.action, record.outcome, version(record))).collect()
}

fn look(running: &Running) -> Status {
    let facts = Facts {
        name: "edge-1".to_owned(),
        source: Source::Local,
        pid: Some(7),
        listen: Some("127.0.0.1:41002".to_owned()),
        ready: true,
        link: None,
        remarks: running.handle.remarks().to_vec(),
        agent_version: None,
    };
    status(&running.handle.record(), facts)
}

fn good(status: &Status) -> Vec<&str> {
    status.good.iter().map(|pack| pack.version.as_str()).collect()
}

fn withdrawn(status: &Status) -> Vec<&str> {
    status.withdrawn.iter().map(|pack| pack.version.as_str()).collect()
}

/// Version desired, version observed, in sync.
fn versions(status: &Status) -> (Option<&str>, Option<&str>, bool) {
    let version = |it: &'_ Option<instance::documents::Version>| it.as_ref().map(|it| it.version.clone());
    let (desired, observed) = (version(&status.desired), version(&status.observed));
    let text =
        |it: Option<Option<String>>| it.map(|it| it.unwrap_or_else(|| "unknown".to_owned()).leak() as &str);
    (text(desired), text(observed), status.in_sync)
}

#[tokio::test]
async fn what_is_wanted_and_what_runs_are_told_apart_until_one_becomes_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    assert_eq!(versions(&look(&running)), (None, None, false));
    apply(&running, "0.1.0").await;
    let first = look(&running);
    assert_eq!(versions(&first), (Some("0.1.0"), Some("0.1.0"), true));
    assert_eq!(good(&first), ["0.1.0"], "good at once");
    assert_eq!(first.last_failure, None);

    // What is no YAML has no version; what lint refuses has.
    let cases: [(&[u8], &str, &str); 3] = [
        (b"pack: [\n", "unknown", "lint"),
        (&[&pack("0.2.0")[..], b"polices: {}\n"].concat(), "0.2.0", "lint"),
        (&with_key(KEY_PACK), KEY_PACK, "secrets"),
    ];
    for (source, version, stage) in cases {
        let error = order(&running, LocalChange::Load(source.to_vec())).await.unwrap_err();
        let OrderError::Refused(reason) = error else { panic!("{error:?}") };
        assert_eq!(reason.stage.to_string(), stage);
        let failed = look(&running);
        assert_eq!(versions(&failed), (Some(version), Some("0.1.0"), false));
        assert_eq!(failed.desired.as_ref().unwrap().digest, ConfigDigest::of(source));
        let failure = failed.last_failure.unwrap();
        assert_eq!((failure.action, failure.stage.as_str()), (Action::Reload, stage));
        assert!(!failure.findings.is_empty());
        let last = told(dir.path()).pop().unwrap();
        assert_eq!(last.stage.as_deref(), Some(stage));
        assert_eq!(last.to.unwrap().digest, ConfigDigest::of(source));
        assert_eq!(last.findings, failure.findings);
    }
    // It is what a later process says as well.
    running.end().await;
    let running = start(dir.path()).await;
    assert_eq!(versions(&look(&running)), (Some(KEY_PACK), Some("0.1.0"), false));
    assert!(look(&running).last_failure.is_some());

    let again = load(&running, "0.1.0").await.unwrap();
    assert_eq!(again.outcome, Outcome::NoChange);
    let settled = look(&running);
    assert_eq!(versions(&settled), (Some("0.1.0"), Some("0.1.0"), true));
    assert_eq!(settled.last_failure, None);
    assert_eq!(settled.observed, first.observed, "no activation");
    let failed = (Action::Reload, Outcome::Failed, Some("0.1.0".to_owned()));
    let expected = [Outcome::Succeeded, Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::NoChange];
    assert_eq!(outcomes(dir.path()), expected.map(|outcome| (failed.0, outcome, failed.2.clone())));
}

#[tokio::test]
async fn a_revert_goes_down_the_good_packs_and_what_it_leaves_stays_left_over_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    for version in ["0.1.0", "0.2.0", "0.3.0"] {
        apply(&running, version).await;
    }
    assert_eq!(good(&look(&running)), ["0.3.0", "0.2.0", "0.1.0"]);
    let back = revert(&running).await.unwrap();
    let version = |it: &Option<instance::documents::Version>| it.clone().unwrap().version.unwrap();
    assert_eq!((back.action, back.outcome), (Action::Revert, Outcome::Succeeded));
    assert_eq!((version(&back.from), version(&back.to), version(&back.observed)).0, "0.3.0");
    assert_eq!(version(&back.observed), "0.2.0");
    assert_eq!(running.live.snapshot().unwrap().version.to_string(), "0.2.0");

    running.end().await;
    let running = start(dir.path()).await;
    let status = look(&running);
    assert_eq!(versions(&status), (Some("0.2.0"), Some("0.2.0"), true));
    assert_eq!((good(&status), withdrawn(&status)), (vec!["0.2.0", "0.1.0"], vec!["0.3.0"]));
    revert(&running).await.unwrap();
    let before = look(&running);
    assert_eq!(revert(&running).await, Err(OrderError::NothingToRevert));
    assert_eq!(look(&running), before);
    let last = told(dir.path()).pop().unwrap();
    assert_eq!((last.action, last.outcome, last.stage), (Action::Revert, Outcome::Failed, None));

    // Loaded again it is a target again.
    apply(&running, "0.3.0").await;
    apply(&running, "0.4.0").await;
    assert_eq!(version(&revert(&running).await.unwrap().observed), "0.3.0");
}

#[tokio::test]
async fn without_any_standing_the_pack_that_was_left_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.1.0").await;
    apply(&running, "0.2.0").await;
    revert(&running).await.unwrap();
    running.end().await;
    for name in ["standing.json", "standing.previous.json"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let running = start(dir.path()).await;
    assert_eq!(running.live.snapshot().unwrap().version.to_string(), "0.1.0");
    assert!(look(&running).remarks.iter().any(|remark| remark.contains("no standing")), "it is said");
    // It is as good as it was.
    apply(&running, "0.3.0").await;
    assert_eq!(revert(&running).await.unwrap().observed.unwrap().version.as_deref(), Some("0.1.0"));
}

#[tokio::test]
async fn where_only_a_pack_that_was_left_is_whole_nothing_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.1.0").await;
    apply(&running, "0.2.0").await;
    revert(&running).await.unwrap();
    running.end().await;
    let left = ConfigDigest::of(&pack("0.1.0"));
    fs::write(dir.path().join(format!("packs/{}.yaml", left.hex())), b"spoiled").unwrap();
    let running = start(dir.path()).await;
    assert!(running.live.snapshot().is_none());
    assert!(!running.readiness.is_ready());
    assert_eq!(versions(&look(&running)), (Some("0.1.0"), None, false));
    apply(&running, "0.2.0").await;
}

#[tokio::test]
async fn after_a_failed_load_a_revert_gives_it_up_and_swaps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.1.0").await;
    apply(&running, "0.2.0").await;
    let live = running.live.snapshot().unwrap();
    let failing = with_key(KEY_PACK);
    order(&running, LocalChange::Load(failing.clone())).await.unwrap_err();
    let told = revert(&running).await.unwrap();
    assert_eq!((told.action, told.outcome), (Action::Revert, Outcome::Withdrawn));
    assert!(told.reason.as_deref().unwrap().starts_with(KEY_PACK), "{told:?}");
    assert!(Arc::ptr_eq(&live, &running.live.snapshot().unwrap()));
    let status = look(&running);
    assert_eq!(versions(&status), (Some("0.2.0"), Some("0.2.0"), true));
    assert_eq!((status.last_failure.is_none(), withdrawn(&status)), (true, vec![KEY_PACK]));

    // The file that it came from may lie there still, and the key be found now.
    running.end().await;
    let running = start(dir.path()).await;
    assert!(running.handle.record().is_withdrawn(ConfigDigest::of(&failing)));
    assert_eq!(revert(&running).await.unwrap().observed.unwrap().version.as_deref(), Some("0.1.0"));
}

#[tokio::test]
async fn a_revert_passes_the_same_stages_and_changes_nothing_where_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = [("OTHER_API_KEY", "sk-test")];
    let running = start_with(dir.path(), LONG, None, &key).await;
    order(&running, LocalChange::Load(with_key("0.1.0"))).await.unwrap();
    apply(&running, "0.2.0").await;
    running.end().await;
    let running = start_proving(dir.path(), LONG).await;
    let before = running.handle.record();
    let Err(OrderError::Refused(reason)) = revert(&running).await else { panic!("without its key") };
    assert_eq!((reason.stage, reason.findings.len()), (Stage::Secrets, 1));
    assert_eq!(running.handle.record(), before);
    let last = told(dir.path()).pop().unwrap();
    assert_eq!((last.action, last.outcome), (Action::Revert, Outcome::Failed));
    assert_eq!(last.to.unwrap().digest, ConfigDigest::of(&with_key("0.1.0")));

    // Not durable, not done.
    running.end().await;
    let running = start_with(dir.path(), LONG, None, &key).await;
    let before = running.handle.record();
    let in_the_way = dir.path().join("standing.json.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let refused = revert(&running).await;
    assert!(matches!(&refused, Err(OrderError::Refused(reason)) if reason.stage == Stage::Storage));
    assert_eq!(running.live.snapshot().unwrap().version.to_string(), "0.2.0");
    assert_eq!(running.handle.record(), before);
    fs::remove_dir(&in_the_way).unwrap();
    revert(&running).await.unwrap();
}

#[tokio::test]
async fn a_good_pack_that_is_not_on_the_disk_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    for version in ["0.1.0", "0.2.0", "0.3.0"] {
        apply(&running, version).await;
    }
    let lost = ConfigDigest::of(&pack("0.2.0"));
    fs::write(dir.path().join(format!("packs/{}.yaml", lost.hex())), b"spoiled").unwrap();
    assert_eq!(revert(&running).await.unwrap().observed.unwrap().version.as_deref(), Some("0.1.0"));
    assert_eq!(good(&look(&running)), ["0.1.0"]);
}

#[tokio::test]
async fn a_revert_at_a_moment_when_no_pack_can_be_read_forgets_none() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    for version in ["0.1.0", "0.2.0", "0.3.0"] {
        apply(&running, version).await;
    }
    let before = running.handle.record();
    // As without free descriptors: nothing can be opened, and nothing is wrong with it.
    let (packs, away) = (dir.path().join("packs"), dir.path().join("packs.away"));
    fs::rename(&packs, &away).unwrap();
    fs::write(&packs, b"in the way").unwrap();
    let refused = revert(&running).await;
    assert!(
        matches!(&refused, Err(OrderError::Refused(reason)) if reason.stage == Stage::Storage),
        "{refused:?}"
    );
    fs::remove_file(&packs).unwrap();
    fs::rename(&away, &packs).unwrap();
    assert_eq!(running.handle.record(), before);
    let last = told(dir.path()).pop().unwrap();
    assert_eq!((last.outcome, last.stage.as_deref()), (Outcome::Failed, Some("storage")));
    running.end().await;

    let running = start(dir.path()).await;
    assert_eq!(good(&look(&running)), ["0.3.0", "0.2.0", "0.1.0"]);
    for version in ["0.2.0", "0.1.0"] {
        assert_eq!(revert(&running).await.unwrap().observed.unwrap().version.as_deref(), Some(version));
    }
}

#[tokio::test]
async fn a_load_that_may_not_be_meant_is_done_and_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.2.0").await;
    let text = String::from_utf8(pack("0.2.0")).unwrap();
    let other = text.replace("id: t", "id: u");
    let unused = other.replace("audit-logger: {}}", "audit-logger: {}, pii-detector: {}}");
    let lower = unused.replace("version: 0.2.0", "version: 0.1.9");
    for (source, expected) in [
        (format!("# a comment\n{text}"), vec!["R007"]),
        (other, vec!["R005"]),
        (unused, vec!["R007", "W001"]),
        (lower, vec!["R006", "W001"]),
    ] {
        let told = order(&running, LocalChange::Load(source.clone().into_bytes())).await.unwrap();
        let mut codes: Vec<_> = told.findings.iter().map(|finding| finding.code.as_str()).collect();
        codes.sort_unstable();
        assert_eq!((codes, told.outcome), (expected, Outcome::Succeeded), "{source}");
        assert!(told.findings.iter().all(|finding| finding.severity == "warning"));
        assert!(told.findings.iter().all(|finding| finding.line > 0 && finding.column > 0), "{told:?}");
    }
    let last = told(dir.path()).pop().unwrap();
    assert!(last.findings.iter().any(|finding| finding.suggestion.contains("kt gateway revert")));
    // A revert goes down, and that is what was asked for.
    assert_eq!(revert(&running).await.unwrap().findings.len(), 1, "lint's own");
}

#[tokio::test]
async fn a_history_that_cannot_be_written_undoes_nothing_and_the_answer_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    fs::create_dir(dir.path().join("history.jsonl")).unwrap();
    let told = load(&running, "0.1.0").await.unwrap();
    assert_eq!(told.outcome, Outcome::Succeeded);
    let [finding] = told.findings.as_slice() else { panic!("{told:?}") };
    assert_eq!((finding.code.as_str(), finding.severity.as_str()), ("H001", "warning"));
    assert_eq!(running.live.snapshot().unwrap().version.to_string(), "0.1.0");
    fs::remove_dir(dir.path().join("history.jsonl")).unwrap();
    assert!(load(&running, "0.2.0").await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn another_program_that_keeps_the_history_does_not_keep_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let kept = instance::lock::Lock::wait(&dir.path().join("history.lock")).unwrap();
    let answered = load(&running, "0.1.0").await.unwrap();
    assert_eq!(answered.findings.len(), 1, "{answered:?}");
    drop(kept);
    let told = || match told(dir.path()).as_slice() {
        [record] if record.id == answered.id => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(seen) = told() {
        assert!(Instant::now() < deadline, "it is written when the lock is free: {seen}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn orders_come_to_their_end_one_after_the_other_whoever_still_waits() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    // Nobody waits for this one.
    let (answer, gone) = tokio::sync::oneshot::channel();
    drop(gone);
    let asked = Asked { reason: Some("a try".to_owned()), ..Asked::by("uid 7", Action::Reload) };
    let order = handle::Order { asked, change: LocalChange::Load(pack("0.4.0")), answer };
    let (first, second, third, sent) = tokio::join!(
        load(&running, "0.1.0"),
        load(&running, "0.2.0"),
        load(&running, "0.3.0"),
        running.handle.send(handle::Event::Ordered(order))
    );
    sent.unwrap();
    for outcome in [first, second, third] {
        assert_eq!(outcome.unwrap().outcome, Outcome::Succeeded);
    }
    // Behind it, so that it has ended.
    assert_eq!(load(&running, "0.4.0").await.unwrap().outcome, Outcome::NoChange);
    let chain = told(dir.path());
    assert_eq!(chain.len(), 5);
    for pair in chain.windows(2) {
        assert_eq!(pair[0].observed, pair[1].from, "one after the other");
    }
    let by_nobody = chain.iter().find(|record| record.actor == "uid 7").unwrap();
    assert_eq!((by_nobody.reason.as_deref(), by_nobody.outcome), (Some("a try"), Outcome::Succeeded));
}

#[tokio::test]
async fn orders_that_wait_when_the_gateway_ends_are_refused_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    // The first one is begun, and kept from its end.
    let kept = instance::lock::Lock::wait(&dir.path().join("history.lock")).unwrap();
    let ending = async {
        while running.live.snapshot().is_none() {
            tokio::task::yield_now().await;
        }
        running.trigger.start();
        drop(kept);
    };
    let (begun, waiting, ()) = tokio::join!(load(&running, "0.1.0"), load(&running, "0.2.0"), ending);
    running.task.await.unwrap();
    assert_eq!(begun.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(waiting, Err(OrderError::Stopping));
    let told = told(dir.path());
    assert_eq!(told.iter().map(|it| it.outcome).collect::<Vec<_>>(), [Outcome::Succeeded, Outcome::Failed]);
    assert_eq!(told[1].reason.as_deref(), Some("the gateway is stopping"));
}

#[tokio::test]
async fn the_start_of_a_gateway_tells_itself_what_it_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let asked = Asked::by("root", Action::Start);
    running.handle.order(asked, LocalChange::Load(pack("0.1.0"))).await.unwrap();
    assert_eq!(outcomes(dir.path()), []);
}

#[tokio::test]
async fn a_crash_fallback_is_told_once_and_the_pack_is_not_good_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.1.0").await;
    apply(&running, "0.2.0").await;
    running.crash().await;
    let running = start(dir.path()).await;
    assert_eq!(good(&look(&running)), ["0.1.0"], "it crashed");
    assert_eq!(versions(&look(&running)), (Some("0.2.0"), Some("0.2.0"), true));
    running.crash().await;
    for _ in 0..2 {
        let running = start(dir.path()).await;
        let status = look(&running);
        assert_eq!(versions(&status), (Some("0.2.0"), Some("0.1.0"), false));
        assert_eq!((good(&status), withdrawn(&status)), (vec!["0.1.0"], vec!["0.2.0"]));
        assert_eq!(status.last_failure.unwrap().action, Action::CrashFallback);
        running.end().await;
    }
    let told = told(dir.path());
    let [.., last] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!((last.action, last.outcome), (Action::CrashFallback, Outcome::Succeeded));
    let version = |it: &Option<instance::documents::Version>| it.clone().unwrap().version;
    assert_eq!(version(&last.from).as_deref(), Some("0.2.0"));
    assert_eq!(version(&last.observed).as_deref(), Some("0.1.0"));
    assert!(last.reason.as_deref().unwrap().starts_with("crash loop"));
}
