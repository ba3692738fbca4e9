//! `standing.json` as the gateway finds it at a start: what was written is read back, what was touched is refused,
//! and content that somebody gave a checksum of its own is read as what it says or not at all.
//!
//! The door is the one the gateway itself uses, [`Ledger::load`], so the file's format stays its own.

mod records;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use gateway_agent::activation::ledger::{Found, Ledger, LedgerError, Owner};
use gateway_agent::activation::record::Record;
use policy_config::ConfigDigest;
use serde::Deserialize;
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::engine::{Target, Watch};
use crate::mutate;

/// What is tried; a planted bug stands in for one of them.
pub(crate) struct Standing {
    pub(crate) load: fn(&Ledger, &Path) -> Found,
    pub(crate) keep: fn(&Ledger, &Record) -> Result<(), LedgerError>,
    pub(crate) ledger: Ledger,
    pub(crate) dir: TempDir,
    /// Whole files as the gateway wrote them.
    pub(crate) files: Vec<Vec<u8>>,
    /// The record behind each content that was written.
    pub(crate) written: HashMap<String, Record>,
}

#[derive(Deserialize)]
pub(crate) struct Envelope {
    checksum: String,
    pub(crate) standing: Box<RawValue>,
}

/// Typed records that are written and must read back.
const RECORDS: usize = 40;

const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"null",
    b"true",
    b"false",
    b"0",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-1",
    b"1e9",
    b"\\u0000",
    b"\\ud800",
    b"\"checksum\":\"",
    b"\"standing\":",
    b"\"instance\":\"edge-1\",",
    b"\"fleet\":\"prod\",",
    b"\"lineage\":null,",
    b"\"highest\":null,",
    b"\"kept\":[],",
    b"\"active\":null,",
    b"\"refused\":null,",
    b"\"pinned\":true,",
    b"\"unconfirmed\":null",
    b"\"write\":18446744073709551615,",
    b"\"desired\":null,",
    b"\"last_failure\":null,",
    b"\"withdrawn\":[],",
    b"sha256:",
    b"00000000-0000-0000-0000-000000000001",
    b"9999-12-31T23:59:59.999999999Z",
    b"0000-01-01T00:00:00+23:59",
    b"1970-01-01T00:00:60Z",
    b"1.0.0",
    b"self_test",
    b"\xef\xbb\xbf",
    b"\n",
    b" ",
];

// === impl Standing ===

impl Default for Standing {
    fn default() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("packs")).unwrap();
        let owner = Owner { instance: "edge-1".to_owned(), fleet: Some("prod".to_owned()) };
        let ledger = Ledger::new(dir.path(), owner);
        let (mut files, mut written) = (Vec::new(), HashMap::new());
        let mut rng = Rng::with_seed(0);
        for at in 0..RECORDS {
            let record = if at == 0 { Record::default() } else { records::record(&mut rng) };
            ledger.keep_record(&record).unwrap();
            let file = fs::read(dir.path().join("standing.json")).unwrap();
            written.insert(content(&file).unwrap(), record);
            files.push(file);
        }
        Self { load: |ledger, _| ledger.load(), keep: Ledger::keep_record, ledger, dir, files, written }
    }
}

impl Target for Standing {
    fn name(&self) -> &'static str {
        "standing"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let foreign = self.files.iter().take(2).map(|file| {
            let content = content(file).unwrap();
            sealed(content.replace("edge-1", "edge-2").as_bytes())
        });
        self.files.iter().cloned().chain(foreign).collect()
    }

    fn tokens(&self) -> &'static [&'static [u8]] {
        TOKENS
    }

    /// Content that was written, spoiled, under a checksum that is right for it.
    fn generate(&self, rng: &mut Rng) -> Vec<u8> {
        let mut pick = || self.files[rng.usize(0..self.files.len())].clone();
        let (mut spoiled, other) = (content(&pick()).unwrap().into_bytes(), pick());
        mutate::mutate(rng, &mut spoiled, &other, TOKENS);
        sealed(&spoiled)
    }

    fn check(&mut self, input: &[u8], watch: &mut Watch) -> Result<String, String> {
        self.lay(input);
        let found = watch.time(|| (self.load)(&self.ledger, self.dir.path()));
        let refused = found.record == Record::default() && !found.remarks.is_empty();
        let said = found.remarks.join("; ");
        if said.chars().any(char::is_control) {
            return Err(format!("a remark can be shown: {said:?}"));
        }
        match content(input) {
            None if refused => Ok(format!("refused: {}", kind(&said))),
            None => Err(format!("what was touched is refused: it was read as {:?}", found.record)),
            Some(content) => match self.written.get(&content) {
                Some(record) if *record == found.record && found.remarks.is_empty() => {
                    Ok("as written".to_owned())
                }
                Some(record) => Err(format!("what was written is read back: {record:?} became {found:?}")),
                None if refused => Ok(format!("sealed and refused: {}", kind(&said))),
                None => self.check_again(&found.record),
            },
        }
    }

    fn must_meet(&self) -> &'static [&'static str] {
        &[
            "as written",
            "refused: checksum",
            "refused: whole",
            "refused: empty",
            "sealed and refused: whole",
            "sealed and refused: belongs",
            "sealed and read",
        ]
    }
}

impl Standing {
    /// The directory as a gateway of ours left it, but for this standing.
    fn lay(&self, standing: &[u8]) {
        let at = |name: &str| self.dir.path().join(name);
        for name in ["standing.previous.json", "standing.json.bad-1"] {
            let _ = fs::remove_file(at(name));
        }
        for (digest, source) in records::packs() {
            let path = at("packs").join(format!("{}.yaml", digest.hex()));
            if !path.exists() {
                fs::write(path, source).unwrap();
            }
        }
        fs::write(at("standing.json"), standing).unwrap();
    }

    /// A record that was read is written and read to the same.
    fn check_again(&self, record: &Record) -> Result<String, String> {
        (self.keep)(&self.ledger, record)
            .map_err(|error| format!("what was read can be written: {error}"))?;
        let again = (self.load)(&self.ledger, self.dir.path());
        if again.record != *record || !again.remarks.is_empty() {
            return Err(format!(
                "what was read is written and read to the same: {record:?} became {again:?}"
            ));
        }
        let parts = [
            record.lineage.is_some(),
            record.refused.is_some(),
            record.active.is_some(),
            record.unconfirmed.is_some(),
        ];
        Ok(format!("sealed and read, {} packs {parts:?}", record.kept.len()))
    }
}

/// The content of a file that has the checksum of its content.
fn content(file: &[u8]) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(file).ok()?;
    let content = envelope.standing.get();
    (ConfigDigest::of(content.as_bytes()).to_string() == envelope.checksum).then(|| content.to_owned())
}

pub(crate) fn sealed(content: &[u8]) -> Vec<u8> {
    let head = format!("{{\"checksum\":\"{}\",\"standing\":", ConfigDigest::of(content));
    [head.as_bytes(), content, b"}\n"].concat()
}

/// Which refusal it was.
fn kind(said: &str) -> String {
    let words = ["empty", "checksum", "belongs", "whole"];
    let word = words.into_iter().find(|word| said.contains(*word)).unwrap_or("other");
    // the parser's own words, without places and values
    let why: String = said
        .split(": ")
        .nth(1)
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || *c == ' ')
        .take(40)
        .collect();
    format!("{word} {why}")
}
