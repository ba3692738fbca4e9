//! What cannot be read now may be whole: nothing is forgotten for it, and nothing thrown away.

use super::*;

/// As the disk is at a moment without free descriptors: nothing of it can be opened, and nothing is wrong with it.
fn without_packs<T>(dir: &Path, look: impl FnOnce() -> T) -> T {
    let (packs, away) = (dir.join("packs"), dir.join("packs.away"));
    fs::rename(&packs, &away).unwrap();
    fs::write(&packs, b"in the way").unwrap();
    let seen = look();
    fs::remove_file(&packs).unwrap();
    fs::rename(&away, &packs).unwrap();
    seen
}

#[test]
fn what_cannot_be_read_for_a_moment_is_neither_forgotten_nor_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, newer) = on_disk(dir.path());
    let found = without_packs(dir.path(), || {
        ledger.pack(pack(1, true).0.digest).unwrap_err();
        ledger.load()
    });
    assert_eq!(found.record, newer);
    assert_eq!(found.remarks.len(), 2, "{:?}", found.remarks);
    assert_eq!(aside(dir.path()), 0);
    ledger.keep_record(&found.record).unwrap();
    assert_eq!(ledger.load().remarks, Vec::<String>::new());
    for number in 1..=2 {
        assert!(ledger.pack(pack(number, true).0.digest).unwrap().is_some());
    }
}

#[test]
fn what_only_a_standing_named_that_was_set_aside_is_left_for_whoever_looks_at_it() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, older, newer) = on_disk(dir.path());
    let standing = dir.path().join("standing.json");
    let whole = fs::read(&standing).unwrap();
    fs::remove_file(&standing).unwrap();
    fs::create_dir(&standing).unwrap();
    assert_eq!(ledger.load().record, older);
    ledger.keep_record(&older).unwrap();
    assert_eq!(ledger.load().remarks, Vec::<String>::new());
    fs::write(&standing, whole).unwrap();
    let found = ledger.load();
    assert_eq!((found.record.kept.len(), found.record.active), (2, newer.active), "{:?}", found.remarks);
}
