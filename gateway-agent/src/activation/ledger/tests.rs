//! What is left of a spoiled disk: the copy before, else a good pack, else nothing; never a wrong one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use fleet_core::ids::{BootId, Lineage, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, NackReason, Stage};
use fleet_core::standing::RefusedAttempt;
use fleet_core::version::Generation;
use policy_config::location::Location;
use policy_config::{Finding, Severity};
use proto::convert::reports::Timings;
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::activation::record::{Desired, Failure, KeptPack, Moment, PendingReport, Trial, Why, Withdrawn};

mod unreadable;

const LINEAGE: Lineage = Lineage(Uuid::from_u128(7));

fn owner(fleet: Option<&str>) -> Owner {
    Owner { instance: "edge-1".to_owned(), fleet: fleet.map(str::to_owned) }
}

fn ledger(dir: &Path) -> Ledger {
    fs::create_dir_all(dir.join("packs")).unwrap();
    Ledger::new(dir, owner(Some("prod")))
}

fn pack(number: u64, good: bool) -> (KeptPack, Vec<u8>) {
    let source = format!("pack {number}").into_bytes();
    let kept = KeptPack {
        digest: ConfigDigest::of(&source),
        version: format!("0.{number}.0").parse().unwrap(),
        assigned: Some((LINEAGE, Generation(number))),
        since: Moment::stored(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(7)),
        proved: good,
        crashed: false,
    };
    (kept, source)
}

fn untold() -> instance::HistoryRecord {
    serde_json::from_value(serde_json::json!({
        "id": "1", "action": "reload", "at": "1970-01-01T00:00:00Z", "actor": "root", "outcome": "succeeded",
        "from": null, "to": null, "observed": null, "duration_ms": 3, "reason": null, "findings": []
    }))
    .unwrap()
}

/// A record with everything in it, on disk in two copies: the older one runs pack 1, the newer pack 2.
fn on_disk(dir: &Path) -> (Ledger, Record, Record) {
    let ledger = ledger(dir);
    let mut older = Record::default();
    let mut records = Vec::new();
    for number in 1..=2 {
        let (kept, source) = pack(number, number == 1);
        ledger.keep_pack(kept.digest, &source).unwrap();
        older.judged(LINEAGE, Generation(number));
        older.activated(kept);
        let reason = NackReason {
            stage: Stage::Secrets,
            reason: "no \"KEY\"".to_owned(),
            findings: vec![Finding {
                code: "S001".to_owned(),
                severity: Severity::Error,
                path: "p".to_owned(),
                location: Location { line: 3, column: 4 },
                message: "m\u{e4}".to_owned(),
                suggestion: String::new(),
            }],
        };
        let (boot, refusal) = (BootId(Uuid::from_u128(9)), reason.clone());
        let digest = ConfigDigest::of(b"refused");
        older.refused =
            Some(RefusedAttempt { generation: Generation(number), digest, boot, reason: reason.clone() });
        older.unconfirmed = Some(PendingReport {
            session: SessionId(Uuid::from_u128(1)),
            offer: OfferId(Uuid::from_u128(2)),
            lineage: LINEAGE,
            generation: Generation(number),
            digest,
            acknowledgement: Acknowledgement::Nack(reason),
            at: Moment::stored(OffsetDateTime::UNIX_EPOCH),
            timings: Timings::default(),
        });
        older.trial = Some(Trial { digest, crashes: 1, running: true });
        let at = Moment::stored(OffsetDateTime::UNIX_EPOCH);
        older.desired =
            Some(Desired { digest, version: None, generation: Some(Generation(number)), since: at });
        older.last_failure = Some(Failure { at, action: instance::Action::Reload, reason: refusal.clone() });
        older.withdrawn = vec![Withdrawn { digest, version: "0.0.9".parse().ok(), why: Why::Crashed }];
        older.untold = Some(untold());
        ledger.keep_record(&older).unwrap();
        records.push(older.clone());
    }
    let newer = records.pop().unwrap();
    (ledger, records.pop().unwrap(), newer)
}

fn aside(dir: &Path) -> usize {
    let names = |dir: &Path| {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut all: Vec<String> = names(dir);
    all.extend::<Vec<String>>(names(&dir.join("packs")));
    all.iter().filter(|name| name.contains(".bad-")).count()
}

#[test]
fn what_was_kept_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, newer) = on_disk(dir.path());
    let found = ledger.load();
    assert_eq!(found.record, newer);
    assert_eq!(found.remarks, Vec::<String>::new());
    assert_eq!(found.bootable, [pack(2, false).0.digest, pack(1, true).0.digest]);
    assert_eq!(ledger.pack(found.bootable[0]).unwrap(), Some(b"pack 2".to_vec()));
}

#[test]
fn a_cut_anywhere_leaves_the_copy_before() {
    let whole = tempfile::tempdir().unwrap();
    on_disk(whole.path());
    let length = fs::read(whole.path().join("standing.json")).unwrap().len();
    // Without its last newline the file still is whole.
    for offset in (0..length - 1).step_by(29).chain([1, length - 2]) {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, older, _) = on_disk(dir.path());
        let path = dir.path().join("standing.json");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..offset]).unwrap();
        let found = ledger.load();
        assert_eq!(found.record, older, "cut at {offset}");
        assert!(!found.remarks.is_empty());
        assert_eq!(aside(dir.path()), 1, "the spoiled file is kept aside");
    }
}

#[test]
fn a_flipped_bit_is_never_believed() {
    let whole = tempfile::tempdir().unwrap();
    on_disk(whole.path());
    let length = fs::read(whole.path().join("standing.json")).unwrap().len();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..60 {
        let (offset, bit) = (random.usize(..length - 1), random.u32(..8));
        let dir = tempfile::tempdir().unwrap();
        let (ledger, older, newer) = on_disk(dir.path());
        let path = dir.path().join("standing.json");
        let mut bytes = fs::read(&path).unwrap();
        bytes[offset] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let found = ledger.load().record;
        // A flip beside the content (a space) may change nothing.
        assert!(found == older || found == newer, "seed {seed}: byte {offset}, bit {bit}");
    }
}

#[test]
fn without_a_standing_the_newest_whole_pack_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, _) = on_disk(dir.path());
    fs::write(dir.path().join("standing.json"), b"").unwrap();
    fs::write(dir.path().join("standing.previous.json"), b"{}").unwrap();
    let newest = pack(2, false).0.digest;
    let set_back = fs::File::options().write(true).open(ledger.pack_path(pack(1, true).0.digest)).unwrap();
    set_back.set_modified(std::time::UNIX_EPOCH).unwrap();
    let found = ledger.load();
    assert_eq!(found.record, Record::default());
    assert_eq!(found.bootable, [newest, pack(1, true).0.digest]);
    assert_eq!(aside(dir.path()), 2);
}

#[test]
fn the_pack_that_is_written_last_is_the_newest_whatever_the_clock_says() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, _) = on_disk(dir.path());
    for standing in ["standing.json", "standing.previous.json"] {
        fs::remove_file(dir.path().join(standing)).unwrap();
    }
    let [(first, source), (second, _)] = [pack(1, true), pack(2, false)];
    let ahead = fs::File::options().write(true).open(ledger.pack_path(second.digest)).unwrap();
    ahead.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1 << 33)).unwrap();
    assert_eq!(ledger.load().bootable, [second.digest, first.digest]);
    ledger.keep_pack(first.digest, &source).unwrap();
    assert_eq!(ledger.load().bootable, [first.digest, second.digest]);
}

#[test]
fn an_older_copy_in_the_place_of_the_standing_is_refused_by_its_write_counter() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, older, newer) = on_disk(dir.path());
    let copy = fs::read(dir.path().join("standing.previous.json")).unwrap();
    ledger.keep_record(&newer).unwrap();
    ledger.keep_record(&newer).unwrap();
    fs::write(dir.path().join("standing.json"), &copy).unwrap();
    // As at a later start, which knows only what is on the disk.
    let started = Ledger::new(dir.path(), owner(Some("prod")));
    let found = started.load();
    assert_eq!(found.record, newer);
    assert!(found.remarks[0].contains("its write counter 1 is lower than 3"), "{:?}", found.remarks);
    assert_eq!(aside(dir.path()), 1, "it is kept for whoever restored it");
    // It counts on from the highest it has seen, so that the next one is newer than both.
    started.keep_record(&older).unwrap();
    let found = ledger.load();
    assert_eq!((found.record, found.remarks), (older, Vec::new()));
}

#[test]
fn a_standing_without_a_counter_is_read_and_not_taken_for_an_older_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, older, newer) = on_disk(dir.path());
    // As the release wrote it that did not count.
    let path = dir.path().join("standing.json");
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once("\"standing\":").unwrap();
    let standing = rest.trim_end().strip_suffix('}').unwrap();
    let uncounted = standing.replacen("\"write\":2,", "", 1);
    assert_ne!(uncounted, standing);
    let checksum = ConfigDigest::of(uncounted.as_bytes());
    fs::write(&path, format!("{{\"checksum\":\"{checksum}\",\"standing\":{uncounted}}}\n")).unwrap();
    let found = ledger.load();
    assert_eq!((found.record, found.remarks), (newer, Vec::new()));
    ledger.keep_record(&older).unwrap();
    assert_eq!(ledger.load().record, older);
}

#[test]
fn a_standing_of_a_release_that_did_not_know_what_was_desired_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, newer) = on_disk(dir.path());
    let path = dir.path().join("standing.json");
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once("\"standing\":").unwrap();
    let standing = rest.trim_end().strip_suffix('}').unwrap();
    let mut earlier: serde_json::Value = serde_json::from_str(standing).unwrap();
    for key in ["desired", "last_failure", "withdrawn", "untold"] {
        earlier.as_object_mut().unwrap().remove(key).unwrap();
    }
    for pack in earlier["kept"].as_array_mut().unwrap() {
        pack.as_object_mut().unwrap().remove("crashed").unwrap();
    }
    let earlier = earlier.to_string();
    let checksum = ConfigDigest::of(earlier.as_bytes());
    fs::write(&path, format!("{{\"checksum\":\"{checksum}\",\"standing\":{earlier}}}\n")).unwrap();
    let found = ledger.load();
    let expected = Record { desired: None, last_failure: None, withdrawn: Vec::new(), untold: None, ..newer };
    assert_eq!((found.record, found.remarks), (expected, Vec::new()));
}

#[test]
fn a_spoiled_copy_is_told_even_where_it_is_not_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, newer) = on_disk(dir.path());
    fs::write(dir.path().join("standing.previous.json"), b"{").unwrap();
    let found = ledger.load();
    assert_eq!(found.record, newer);
    assert!(found.remarks[0].contains("standing.previous.json"), "{:?}", found.remarks);
    assert_eq!(aside(dir.path()), 1);
}

#[test]
fn a_pack_that_no_standing_names_never_is_the_newest_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, older, _) = on_disk(dir.path());
    let unnamed = ConfigDigest::of(b"never active");
    ledger.keep_pack(unnamed, b"never active").unwrap();
    let own = ledger.packs().join("notes.yaml");
    fs::write(&own, b"of somebody").unwrap();
    // While something is wrong with the standing nothing is thrown away: it may be what a lost record named.
    let standing = fs::read(dir.path().join("standing.json")).unwrap();
    fs::remove_file(dir.path().join("standing.json")).unwrap();
    let found = ledger.load();
    assert_eq!(found.record.active, older.active);
    assert!(found.remarks[0].contains("the one before"), "{:?}", found.remarks);
    assert!(ledger.pack(unnamed).unwrap().is_some());

    fs::write(dir.path().join("standing.json"), standing).unwrap();
    ledger.load();
    for name in ["standing.json", "standing.previous.json"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(!ledger.load().bootable.contains(&unnamed));
    assert!(own.exists(), "what is not ours is left alone");
}

#[test]
fn ten_thousand_leftovers_of_crashes_are_removed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, newer) = on_disk(dir.path());
    for number in 0..5_000 {
        fs::write(dir.path().join(format!("standing.json.{number}.tmp")), b"half").unwrap();
        fs::write(dir.path().join(format!("packs/{number}.yaml.tmp")), b"half").unwrap();
    }
    let began = std::time::Instant::now();
    assert_eq!(ledger.load().record, newer);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(fs::read_dir(ledger.packs()).unwrap().count(), 2);
}

#[test]
fn a_spoiled_pack_is_set_aside_and_a_good_one_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, _) = on_disk(dir.path());
    fs::write(ledger.pack_path(pack(2, false).0.digest), b"pack 9").unwrap();
    let found = ledger.load();
    assert_eq!(found.bootable, [pack(1, true).0.digest]);
    assert_eq!(found.record.highest, Some(Generation(2)), "the high-water mark stays");
    assert_eq!(found.record.standing().active, None);
    assert_eq!(aside(dir.path()), 1);
}

#[test]
fn the_standing_of_another_gateway_or_fleet_is_refused_with_its_packs() {
    for other in
        [Owner { instance: "edge-2".to_owned(), fleet: Some("prod".to_owned()) }, owner(Some("staging"))]
    {
        let dir = tempfile::tempdir().unwrap();
        on_disk(dir.path());
        let found = Ledger::new(dir.path(), other).load();
        assert_eq!(found.record, Record::default());
        assert_eq!(found.bootable, []);
        assert!(found.remarks[0].contains("belongs to gateway `prod/edge-1`"), "{:?}", found.remarks);
    }
    // The same gateway, from now on with a file as its source.
    let dir = tempfile::tempdir().unwrap();
    let (_, _, newer) = on_disk(dir.path());
    assert_eq!(Ledger::new(dir.path(), owner(None)).load().record, newer);
}

#[test]
fn what_a_crash_left_half_written_is_removed_and_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, newer) = on_disk(dir.path());
    let outside = dir.path().join("outside");
    fs::write(&outside, b"precious").unwrap();
    std::os::unix::fs::symlink(&outside, dir.path().join("standing.json.tmp")).unwrap();
    fs::write(dir.path().join("packs/x.yaml.tmp"), b"half").unwrap();
    ledger.keep_record(&newer).unwrap();
    assert_eq!(ledger.load().record, newer);
    assert_eq!(fs::read(&outside).unwrap(), b"precious");
    assert!(!dir.path().join("packs/x.yaml.tmp").exists());
    let mode = fs::metadata(dir.path().join("standing.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _, newer) = on_disk(dir.path());
    // Not even root writes through a directory in the place of the temporary file.
    fs::create_dir(dir.path().join("standing.json.tmp")).unwrap();
    let error = ledger.keep_record(&Record::default()).unwrap_err();
    assert!(error.to_string().contains("standing.json"), "{error}");
    fs::remove_dir(dir.path().join("standing.json.tmp")).unwrap();
    assert_eq!(ledger.load().record, newer);

    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    fs::remove_dir_all(dir.path().join("packs")).unwrap();
    assert!(ledger.keep_pack(ConfigDigest::of(b"x"), b"x").is_err());
}

#[test]
fn ten_good_packs_are_kept_and_never_the_active_one_is_forgotten() {
    let mut record = Record::default();
    for number in 1..=30 {
        record.activated(pack(number, number % 2 == 0).0);
        let forgotten = record.prune();
        assert!(!forgotten.contains(&record.active.unwrap()));
    }
    assert_eq!(record.kept.iter().filter(|pack| pack.proved).count(), 10);
    assert_eq!(record.kept.iter().filter(|pack| !pack.proved).count(), 5);
    assert_eq!(record.kept[0].digest, pack(30, true).0.digest);
}
