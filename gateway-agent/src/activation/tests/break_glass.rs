//! A managed gateway that somebody changes on its host: pinned, told, and given back as it was taken.

use fleet_core::offer::Acknowledgement;

use super::*;

async fn managed(dir: &Path) -> Running {
    start_with(dir, LONG, Some("prod"), &[]).await
}

fn glass_broken(action: Action) -> Asked {
    let reason = Some("the control plane is away".to_owned());
    Asked { reason, break_glass: true, ..Asked::by("root", action) }
}

fn told(dir: &Path) -> Vec<HistoryRecord> {
    History::at(dir.join("history.jsonl")).read().unwrap().records
}

#[tokio::test]
async fn without_breaking_the_glass_nothing_is_changed_here() {
    let dir = tempfile::tempdir().unwrap();
    let running = managed(dir.path()).await;
    running.accepts(1, "0.1.0").await;
    let before = running.handle.record();
    for change in [LocalChange::Load(pack("0.2.0")), LocalChange::Revert] {
        let outcome = running.handle.order(Asked::by("root", Action::Reload), change).await;
        assert_eq!(outcome, Err(OrderError::Managed));
        let last = told(dir.path()).pop().unwrap();
        assert_eq!((last.outcome, last.actor.as_str()), (Outcome::Failed, "root"));
    }
    assert_eq!(running.handle.record(), before);
}

#[tokio::test]
async fn a_pinned_gateway_refuses_offers_and_takes_them_when_it_is_unpinned() {
    let dir = tempfile::tempdir().unwrap();
    let running = managed(dir.path()).await;
    running.accepts(1, "0.1.0").await;
    running.accepts(2, "0.2.0").await;
    let numbers = |running: &Running| {
        let record = running.handle.record();
        (record.lineage, record.highest)
    };
    let before = numbers(&running);
    let change = LocalChange::Load(pack("0.9.0"));
    running.handle.order(glass_broken(Action::Reload), change).await.unwrap();
    assert_eq!(running.version().as_deref(), Some("0.9.0"));
    assert_eq!(numbers(&running), before, "the control plane's numbers are its own");
    assert!(running.handle.record().refused.is_none());

    // Over a start as well.
    running.end().await;
    let running = managed(dir.path()).await;
    assert!(running.handle.record().pinned);
    for generation in [2, 3] {
        let Acknowledgement::Nack(reason) = running.offer(generation, "0.3.0").await else {
            panic!("it is pinned")
        };
        assert!(reason.reason.contains("pinned"), "{reason:?}");
    }
    assert_eq!(numbers(&running), before);
    assert_eq!(running.version().as_deref(), Some("0.9.0"));

    running.handle.unpin(Asked::by("root", Action::Reload)).await.unwrap();
    assert!(!running.handle.record().pinned);
    running.accepts(3, "0.3.0").await;
    assert!(matches!(running.offer(2, "0.2.0").await, Acknowledgement::Nack(_)), "nothing goes back");
    let reasons: Vec<_> = told(dir.path()).into_iter().map(|record| (record.actor, record.outcome)).collect();
    let central = |outcome| ("control-plane".to_owned(), outcome);
    assert_eq!(
        reasons,
        [
            central(Outcome::Succeeded),
            central(Outcome::Succeeded),
            ("root".to_owned(), Outcome::Succeeded),
            central(Outcome::Failed),
            central(Outcome::Failed),
            central(Outcome::Succeeded),
            central(Outcome::Failed),
        ]
    );
}

#[tokio::test]
async fn the_generation_that_ran_before_is_taken_again_when_it_is_offered_after_the_pin() {
    let dir = tempfile::tempdir().unwrap();
    let running = managed(dir.path()).await;
    running.accepts(1, "0.1.0").await;
    let change = LocalChange::Load(pack("0.9.0"));
    running.handle.order(glass_broken(Action::Reload), change).await.unwrap();
    running.handle.unpin(Asked::by("root", Action::Reload)).await.unwrap();
    running.accepts(1, "0.1.0").await;
}

#[tokio::test]
async fn a_revert_under_broken_glass_says_which_generation_runs() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_with(dir.path(), Duration::from_millis(1), Some("prod"), &[]).await;
    running.accepts(1, "0.1.0").await;
    running.until_good().await;
    running.accepts(2, "0.2.0").await;
    running.handle.order(glass_broken(Action::Revert), LocalChange::Revert).await.unwrap();
    let record = running.handle.record();
    let held = record.standing().active.unwrap();
    assert_eq!((held.generation, record.highest), (Generation(1), Some(Generation(2))));
    assert!(record.pinned);
    running.handle.unpin(Asked::by("root", Action::Reload)).await.unwrap();
    running.accepts(2, "0.2.0").await;
}

#[tokio::test]
async fn a_load_that_fails_under_broken_glass_pins_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = managed(dir.path()).await;
    running.accepts(1, "0.1.0").await;
    let change = LocalChange::Load(b"pack: [".to_vec());
    running.handle.order(glass_broken(Action::Reload), change).await.unwrap_err();
    assert!(!running.handle.record().pinned);
    running.accepts(2, "0.2.0").await;
    let last = told(dir.path()).into_iter().find(|record| record.outcome == Outcome::Failed).unwrap();
    assert!(last.reason.unwrap().contains("(asked for: the control plane is away)"));
}

#[tokio::test]
async fn a_gateway_that_left_its_control_plane_is_not_pinned_against_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = managed(dir.path()).await;
    running.accepts(1, "0.1.0").await;
    let change = LocalChange::Load(pack("0.9.0"));
    running.handle.order(glass_broken(Action::Reload), change).await.unwrap();
    running.end().await;
    let running = start(dir.path()).await;
    assert!(!running.handle.record().pinned);
    apply(&running, "0.2.0").await;
}
