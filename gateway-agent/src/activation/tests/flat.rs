//! However many packs come and go, the disk and the record stay as large as they are.

use super::*;

#[tokio::test]
async fn many_loads_leave_ten_packs_and_nothing_retired() {
    const LOADS: u32 = 100;
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let mut sizes = Vec::new();
    for number in 0..LOADS {
        apply(&running, &format!("1.{number}.0")).await;
        if number % 25 == 24 {
            let packs = fs::read_dir(dir.path().join("packs")).unwrap().count();
            let record = running.handle.record();
            let standing = fs::metadata(dir.path().join("standing.json")).unwrap().len();
            assert_eq!((packs, record.kept.len(), record.withdrawn.len()), (10, 10, 0));
            assert_eq!(running.live.retired_draining(), 0);
            sizes.push(standing);
        }
    }
    let (first, last) = (sizes[0], *sizes.last().unwrap());
    assert!(last < first + first / 5, "{sizes:?}");
}
