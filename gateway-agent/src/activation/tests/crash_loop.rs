//! A pack that ends the gateway twice before it proved itself is withdrawn, and only such a pack.

use fleet_core::offer::Acknowledgement;
use fleet_core::standing::Held;

use super::*;

/// A directory in which 0.1.0 is good, as generation 1, and 0.2.0 is active and on trial, as generation 2.
async fn on_trial(dir: &Path) -> Running {
    let running = start_proving(dir, Duration::from_millis(1)).await;
    running.accepts(1, "0.1.0").await;
    running.until_good().await;
    running.end().await;
    let running = start_proving(dir, LONG).await;
    running.accepts(2, "0.2.0").await;
    running
}

#[tokio::test]
async fn twice_ended_by_force_a_pack_is_withdrawn_until_a_new_generation_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    on_trial(dir.path()).await.crash().await;
    let again = start_proving(dir.path(), LONG).await;
    assert_eq!(again.version().as_deref(), Some("0.2.0"), "once may be an accident");
    again.crash().await;

    let held = |generation, version: &str| Held {
        generation: Generation(generation),
        digest: ConfigDigest::of(&pack(version)),
    };
    for _ in 0..3 {
        let fallen_back = start_proving(dir.path(), LONG).await;
        assert_eq!(fallen_back.version().as_deref(), Some("0.1.0"));
        assert!(fallen_back.readiness.is_ready());
        let standing = fallen_back.handle.record().standing();
        assert_eq!(standing.active, Some(held(1, "0.1.0")), "the control plane is told what runs");
        assert_eq!(standing.highest, Some(Generation(2)));
        let refused = standing.refused.expect("the hello says what was refused");
        assert_eq!((refused.generation, refused.digest), (Generation(2), held(2, "0.2.0").digest));
        // However often the same is offered, in this start or a later one.
        for _ in 0..2 {
            let Acknowledgement::Nack(reason) = fallen_back.offer(2, "0.2.0").await else {
                panic!("accepted")
            };
            assert!(reason.reason.starts_with("crash loop"), "{reason:?}");
            assert_eq!(fallen_back.version().as_deref(), Some("0.1.0"));
        }
        fallen_back.crash().await;
    }

    let fallen_back = start_proving(dir.path(), LONG).await;
    fallen_back.accepts(3, "0.2.0").await;
    fallen_back.crash().await;
    let again = start_proving(dir.path(), LONG).await;
    assert_eq!(again.version().as_deref(), Some("0.2.0"), "it is on trial anew");
}

#[tokio::test]
async fn an_end_that_was_asked_for_is_no_crash_and_does_not_make_one_undone() {
    let dir = tempfile::tempdir().unwrap();
    on_trial(dir.path()).await.end().await;
    for _ in 0..4 {
        let running = start_proving(dir.path(), LONG).await;
        assert_eq!(running.version().as_deref(), Some("0.2.0"));
        running.end().await;
    }
    start_proving(dir.path(), LONG).await.crash().await;
    start_proving(dir.path(), LONG).await.end().await;
    start_proving(dir.path(), LONG).await.crash().await;
    assert_eq!(start_proving(dir.path(), LONG).await.version().as_deref(), Some("0.1.0"));
}

#[tokio::test]
async fn a_pack_that_proved_itself_is_never_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    on_trial(dir.path()).await.crash().await;
    let running = start_proving(dir.path(), Duration::from_millis(1)).await;
    running.until_good().await;
    running.crash().await;
    for _ in 0..4 {
        let running = start_proving(dir.path(), LONG).await;
        assert_eq!(running.version().as_deref(), Some("0.2.0"));
        running.crash().await;
    }
    // Nor is it when it comes back later: it is known to run.
    let running = start_proving(dir.path(), LONG).await;
    running.accepts(3, "0.3.0").await;
    running.accepts(4, "0.2.0").await;
    running.crash().await;
    for _ in 0..3 {
        let running = start_proving(dir.path(), LONG).await;
        assert_eq!(running.version().as_deref(), Some("0.2.0"));
        running.crash().await;
    }
}

#[tokio::test]
async fn without_a_good_pack_below_the_gateway_tries_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_proving(dir.path(), LONG).await;
    running.accepts(1, "0.1.0").await;
    running.accepts(2, "0.2.0").await;
    running.crash().await;
    for _ in 0..4 {
        let running = start_proving(dir.path(), LONG).await;
        assert_eq!(running.version().as_deref(), Some("0.2.0"));
        running.crash().await;
    }
}

#[tokio::test]
async fn a_withdrawn_pack_is_the_last_resort_where_the_good_one_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    on_trial(dir.path()).await.crash().await;
    start_proving(dir.path(), LONG).await.crash().await;
    let good = ConfigDigest::of(&pack("0.1.0"));
    fs::write(dir.path().join(format!("packs/{}.yaml", good.hex())), b"spoiled").unwrap();
    assert_eq!(start_proving(dir.path(), LONG).await.version().as_deref(), Some("0.2.0"));
}

#[tokio::test]
async fn a_file_of_this_host_is_tried_again_when_somebody_asks() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_proving(dir.path(), Duration::from_millis(1)).await;
    apply(&running, "0.1.0").await;
    running.until_good().await;
    running.end().await;
    let running = start_proving(dir.path(), LONG).await;
    apply(&running, "0.2.0").await;
    running.crash().await;
    start_proving(dir.path(), LONG).await.crash().await;
    let fallen_back = start_proving(dir.path(), LONG).await;
    assert_eq!(fallen_back.version().as_deref(), Some("0.1.0"));
    let withdrawn = ConfigDigest::of(&pack("0.2.0"));
    assert!(fallen_back.handle.record().is_withdrawn(withdrawn));
    apply(&fallen_back, "0.2.0").await;
    assert!(!fallen_back.handle.record().is_withdrawn(withdrawn));
}

#[tokio::test]
async fn an_end_that_was_asked_for_is_no_crash_where_the_disk_takes_no_standing() {
    let dir = tempfile::tempdir().unwrap();
    let running = on_trial(dir.path()).await;
    // Not even root renames a file over a directory.
    let in_the_way = dir.path().join("standing.previous.json");
    let block = || {
        let _ = fs::remove_file(&in_the_way);
        fs::create_dir(&in_the_way).unwrap();
    };
    block();
    running.end().await;
    for _ in 0..3 {
        fs::remove_dir(&in_the_way).unwrap();
        let running = start_proving(dir.path(), LONG).await;
        assert_eq!(running.version().as_deref(), Some("0.2.0"));
        assert_eq!(running.handle.record().trial.unwrap().crashes, 0);
        block();
        running.end().await;
    }
    // Nor is one of a pack whose proof the disk did not take.
    fs::remove_dir(&in_the_way).unwrap();
    let running = start_proving(dir.path(), Duration::from_millis(200)).await;
    block();
    running.until_good().await;
    running.crash().await;
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(start_proving(dir.path(), LONG).await.handle.record().trial.unwrap().crashes, 0);
}

#[tokio::test]
async fn a_crash_under_an_earlier_release_counts_without_a_mark() {
    let dir = tempfile::tempdir().unwrap();
    on_trial(dir.path()).await.crash().await;
    fs::remove_file(dir.path().join("on-trial")).unwrap();
    let standing = dir.path().join("standing.json");
    let marked = fs::read_to_string(&standing).unwrap();
    let (_, content) = marked.trim_end().split_once("\"standing\":").unwrap();
    let content = content.strip_suffix('}').unwrap().replace(",\"marked\":true", "");
    let checksum = ConfigDigest::of(content.as_bytes());
    fs::write(&standing, format!("{{\"checksum\":\"{checksum}\",\"standing\":{content}}}\n")).unwrap();
    let again = start_proving(dir.path(), LONG).await;
    assert_eq!(again.handle.record().trial.unwrap().crashes, 1);
}
