//! What `strace` wrote, read back as calls with a beginning and an end, and judged: for each activation the pack is
//! durable, then the standing, then comes the swap, and only then do the bytes of the report leave.
#![cfg(test)]

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One system call. `begin` and `end` are lines of the trace: two calls of different threads may overlap.
#[derive(Debug)]
struct Call {
    begin: usize,
    end: usize,
    /// When it began and ended, in microseconds.
    lasted: (i128, i128),
    name: String,
    /// All between the name and the result.
    arguments: String,
    ok: bool,
}

/// What a trace says.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Acks that left the program for a pack that was swapped in.
    pub(crate) activations: usize,
    /// Acks of a new assignment for the pack that ran already.
    pub(crate) adoptions: usize,
    pub(crate) violations: Vec<String>,
}

/// Judges every ack in a trace of one gateway.
pub(crate) fn judge(trace: &str) -> Judged {
    let calls = calls(trace);
    let mut judged = Judged::default();
    let mut seen = Vec::new();
    let mut running = String::new();
    for standing in calls.iter().filter(|call| call.ok && call.writes_to("/standing.json.tmp")) {
        let Some((offer, digest)) = acked(&standing.arguments) else { continue };
        if seen.contains(&offer) {
            continue;
        }
        let outcome = if running == digest {
            judged.adoptions += 1;
            told_after(&calls, &kept(&calls, standing), &offer).map(drop)
        } else {
            judged.activations += 1;
            in_order(&calls, standing, &offer, &digest)
        };
        if let Err(problem) = outcome {
            judged.violations.push(format!("offer {offer}: {problem}"));
        }
        running = digest;
        seen.push(offer);
    }
    // An ack that was never kept at all.
    for call in calls.iter().filter(|call| call.leaves()) {
        for offer in offers_in(&call.arguments).filter(|offer| !seen.contains(offer)) {
            judged.violations.push(format!("offer {offer}: an answer left that no standing holds"));
        }
    }
    judged
}

fn in_order(calls: &[Call], standing: &Call, offer: &str, digest: &str) -> Result<(), String> {
    let pack = format!("/packs/{digest}.yaml");
    let unfinished = format!("{pack}.tmp");
    let written =
        calls.iter().rfind(|call| call.ok && call.writes_to(&unfinished) && call.end < standing.begin);
    let written = written.ok_or("the pack was not written before the standing")?;
    let pack = durable(calls, written, "the pack", &unfinished, &pack, "/packs")?;
    if pack.end >= standing.begin {
        return Err("the standing was written before the pack was durable".to_owned());
    }
    let kept = kept(calls, standing);
    let swapped = calls.iter().find(|call| {
        call.name == "write" && call.arguments.contains("policy activated") && call.arguments.contains(digest)
    });
    let swapped = swapped.ok_or("no swap was logged")?;
    // The line is written by a thread of its own, later: it says when the swap was.
    let swapped_at = said_at(&swapped.arguments).ok_or("the swap has no time")?;
    if swapped_at < kept.as_ref().map_err(Clone::clone)?.lasted.1 {
        return Err("the swap came before the standing was durable".to_owned());
    }
    let told = told_after(calls, &kept, offer)?;
    if told.lasted.0 < swapped_at {
        return Err("the report left before the swap".to_owned());
    }
    Ok(())
}

/// The time that stands before the words of the log's line about a swap, in microseconds.
fn said_at(lines: &str) -> Option<i128> {
    let (before, _) = lines.split_once("policy activated")?;
    let time = before.split(['"', ' ', '\n']).rev().find_map(|word| {
        let word = word.rsplit("\\n").next()?;
        OffsetDateTime::parse(word, &Rfc3339).ok()
    })?;
    Some(time.unix_timestamp_nanos() / 1000)
}

/// The sync that made this standing durable.
fn kept<'a>(calls: &'a [Call], standing: &Call) -> Result<&'a Call, String> {
    let dir = standing.arguments.split_once("/standing.json.tmp").and_then(|(path, _)| path.rsplit_once('<'));
    let dir = dir.map(|(_, dir)| dir).unwrap_or_default();
    durable(calls, standing, "the standing", "/standing.json.tmp", "/standing.json", dir)
}

/// The report of this offer, which left after its standing was kept.
fn told_after<'a>(calls: &'a [Call], kept: &Result<&Call, String>, offer: &str) -> Result<&'a Call, String> {
    let kept = kept.as_ref().map_err(Clone::clone)?;
    let told = calls.iter().find(|call| call.leaves() && call.arguments.contains(offer));
    let told = told.ok_or("no report left")?;
    if told.begin <= kept.end {
        return Err("the report left before the standing was durable".to_owned());
    }
    Ok(told)
}

/// Follows a written file to the sync of its directory, which is answered.
fn durable<'a>(
    calls: &'a [Call],
    written: &Call,
    what: &str,
    from: &str,
    to: &str,
    dir: &str,
) -> Result<&'a Call, String> {
    let next = |after: &Call, wanted: &dyn Fn(&Call) -> bool| {
        calls.iter().find(|call| call.begin > after.end && call.ok && wanted(call))
    };
    let synced = next(written, &|call| call.syncs(from)).ok_or(format!("{what} was not synced"))?;
    let renamed = calls.iter().find(|call| call.begin > written.end && call.ok && call.renames(from, to));
    let renamed = renamed.ok_or(format!("{what} was not renamed"))?;
    if renamed.begin <= synced.end {
        return Err(format!("{what} was renamed before it was synced"));
    }
    next(renamed, &|call| call.syncs(dir)).ok_or(format!("the directory of {what} was not synced"))
}

/// The offer and the digest of the pack, where a standing holds an ack that is still to be confirmed.
fn acked(standing: &str) -> Option<(String, String)> {
    let (_, pending) = standing.split_once(r#"\"unconfirmed\":{"#)?;
    let (pending, _) = pending.split_once('}')?;
    if !pending.contains(r#"\"nack\":null"#) {
        return None;
    }
    let field = |name: &str| {
        let (_, value) = pending.split_once(&format!(r#"\"{name}\":\""#))?;
        value.split_once('\\').map(|(value, _)| value.to_owned())
    };
    Some((field("offer")?, field("digest")?.strip_prefix("sha256:")?.to_owned()))
}

/// What looks like an offer's id in the bytes of a report with an outcome: a report names its session first.
fn offers_in(sent: &str) -> impl Iterator<Item = String> {
    let uuid = regex::Regex::new(
        r"\\n\$[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\\22\$([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    )
    .expect("a pattern");
    let found: Vec<String> = uuid.captures_iter(sent).map(|found| found[1].to_owned()).collect();
    found.into_iter()
}

fn calls(trace: &str) -> Vec<Call> {
    let mut begun: BTreeMap<&str, (usize, i128, String)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((pid, text)) = text.split_once(' ') else { continue };
        let Some((at, text)) = text.trim_start().split_once(' ') else { continue };
        let Some(at) = micros(at) else { continue };
        if let Some(unfinished) = text.strip_suffix("<unfinished ...>") {
            begun.insert(pid, (line, at, unfinished.to_owned()));
            continue;
        }
        let (begin, began_at, text) = match text.strip_prefix("<... ") {
            None => (line, at, text.to_owned()),
            Some(resumed) => {
                let Some((begin, began_at, first)) = begun.remove(pid) else { continue };
                let Some((_, rest)) = resumed.split_once(" resumed>") else { continue };
                (begin, began_at, format!("{}{rest}", first.trim_end()))
            }
        };
        let Some((name, rest)) = text.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        let ok = result.starts_with(|first: char| first.is_ascii_digit());
        let took = result.rsplit_once('<').and_then(|(_, took)| micros(took.trim_end_matches('>')));
        let lasted = (began_at, began_at + took.unwrap_or_default());
        let (name, arguments) = (name.to_owned(), arguments.to_owned());
        calls.push(Call { begin, end: line, lasted, name, arguments, ok });
    }
    calls
}

/// `1764135030.000001` as microseconds.
fn micros(seconds: &str) -> Option<i128> {
    let (whole, part) = seconds.split_once('.')?;
    if part.len() != 6 {
        return None;
    }
    Some(whole.parse::<i128>().ok()? * 1_000_000 + part.parse::<i128>().ok()?)
}

// === impl Call ===

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    /// What the first argument, a descriptor, is open on.
    fn target(&self) -> &str {
        let Some((_, rest)) = self.arguments.split_once('<') else { return "" };
        let end = [">,", ">)"].iter().filter_map(|end| rest.find(end)).min();
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    fn writes_to(&self, end_of_path: &str) -> bool {
        self.is(&["write", "pwrite64", "writev"]) && self.target().ends_with(end_of_path)
    }

    fn syncs(&self, end_of_path: &str) -> bool {
        self.is(&["fsync", "fdatasync"]) && self.target().ends_with(end_of_path)
    }

    fn renames(&self, from: &str, to: &str) -> bool {
        let mut paths = self.arguments.split('"').skip(1).step_by(2);
        self.name.starts_with("rename")
            && paths.next().is_some_and(|path| path.ends_with(from))
            && paths.next().is_some_and(|path| path.ends_with(to))
    }

    /// Bytes to a socket of the control plane. A decision event or an answer to a client names no offer.
    fn leaves(&self) -> bool {
        self.is(&["sendto", "sendmsg", "writev", "write"]) && self.target().starts_with("TCP")
    }
}

#[test]
fn a_good_trace_is_good() {
    let judged = judge(&timed(&GOOD));
    assert_eq!((judged.activations, judged.adoptions, judged.violations), (1, 0, Vec::new()));
    let judged = judge(&timed(&[&GOOD[..], &ADOPTED[..]].concat()));
    assert_eq!((judged.activations, judged.adoptions, judged.violations), (1, 1, Vec::new()));
    let early = [&GOOD[..], &ADOPTED[4..], &ADOPTED[..4]].concat();
    assert_eq!(judge(&timed(&early)).violations.len(), 1, "an adoption that is told before it is kept");
}

#[test]
fn every_planted_violation_is_found() {
    let line = |what: &str| GOOD.iter().position(|line| line.contains(what)).expect("it is in the trace");
    let without = |what: &str| {
        let mut lines = GOOD.to_vec();
        lines.remove(line(what));
        lines
    };
    let moved = |what: &str, before: &str| {
        let mut lines = without(what);
        let at = lines.iter().position(|line| line.contains(before)).expect("it is in the trace");
        lines.insert(at, GOOD[line(what)]);
        lines
    };
    let failed = |what: &str| {
        let mut lines: Vec<String> = GOOD.iter().map(|line| (*line).to_owned()).collect();
        let at = line(what);
        lines[at] = format!("{} = -1 EIO (Input/output error)", lines[at].rsplit_once(" = ").unwrap().0);
        lines
    };
    let text = |lines: Vec<&str>| timed(&lines);
    for (planted, says) in [
        (text(moved("sendto(", "fsync(12</k/standing.json.tmp>")), "left before the standing"),
        (text(moved("sendto(", "policy activated")), "left before the swap"),
        (text(moved("policy activated", "fsync(13</k>")), "swap came before"),
        (text(without("fsync(11</k/packs/aa.yaml.tmp>")), "the pack was not synced"),
        (text(without("fsync(12</k/packs>")), "the directory of the pack was not synced"),
        (text(without("fsync(12</k/standing.json.tmp>")), "the standing was not synced"),
        (text(without("fsync(13</k>")), "the directory of the standing was not synced"),
        (
            text(failed("fsync(13</k>").iter().map(String::as_str).collect()),
            "the directory of the standing was not synced",
        ),
        (
            text(failed("fsync(11</k/packs/aa.yaml.tmp>").iter().map(String::as_str).collect()),
            "the pack was not synced",
        ),
        (text(moved("rename(\"/k/packs", "fsync(11</k/packs/aa.yaml.tmp>")), "renamed before it was synced"),
        (text(moved("fsync(12</k/packs>", "fsync(13</k>")), "before the pack was durable"),
        (text(without("policy activated")), "no swap"),
        (text(without("standing.json.tmp>, ")), "no standing holds"),
    ] {
        let judged = judge(&planted);
        assert!(judged.violations.iter().any(|found| found.contains(says)), "{says}: {judged:?}\n{planted}");
    }
}

/// The lines a millisecond after one another, and the line about the swap when the swap was.
fn timed(lines: &[&str]) -> String {
    let timed = lines.iter().enumerate().map(|(at, line)| {
        let (pid, call) = line.split_once(' ').expect("a process");
        let said = format!("2025-11-26T05:30:30.{at:03}000Z  INFO policy activated");
        let call = call.replace("policy activated", &said);
        let took = if call.contains(" = ") { " <0.000100>" } else { "" };
        format!("{pid} 1764135030.{at:03}000 {call}{took}")
    });
    timed.collect::<Vec<_>>().join("\n")
}

/// One activation, as strace tells it; a sync that another thread's call overlaps is in it.
const GOOD: [&str; 13] = [
    r#"7 openat(AT_FDCWD</w>, "/k/packs/aa.yaml.tmp", O_WRONLY|O_CREAT|O_EXCL, 0600) = 11</k/packs/aa.yaml.tmp>"#,
    r#"7 write(11</k/packs/aa.yaml.tmp>, "pack:\n", 6) = 6"#,
    r#"7 fsync(11</k/packs/aa.yaml.tmp>) = 0"#,
    r#"7 rename("/k/packs/aa.yaml.tmp", "/k/packs/aa.yaml") = 0"#,
    r#"7 fsync(12</k/packs>) = 0"#,
    r#"7 write(12</k/standing.json.tmp>, "{\"active\":\"sha256:aa\",\"unconfirmed\":{\"session\":\"s\",\"offer\":\"01234567-0123-0123-0123-0123456789ab\",\"digest\":\"sha256:aa\",\"warnings\":[],\"nack\":null,\"at\":\"\"}}", 9) = 9"#,
    r#"7 fsync(12</k/standing.json.tmp> <unfinished ...>"#,
    r#"8 write(2</k/log>, "something else", 14) = 14"#,
    r#"7 <... fsync resumed>) = 0"#,
    r#"7 rename("/k/standing.json.tmp", "/k/standing.json") = 0"#,
    r#"7 fsync(13</k>) = 0"#,
    r#"8 write(2</k/log>, "policy activated digest=sha256:aa", 14) = 14"#,
    r#"8 sendto(9<TCP:[127.0.0.1:5->127.0.0.1:7]>, "\0\n$98765432-0123-0123-0123-0123456789ab\22$01234567-0123-0123-0123-0123456789ab", 80, MSG_NOSIGNAL, NULL, 0) = 80"#,
];

/// The same pack under a new assignment: nothing is swapped, and the standing is kept all the same.
const ADOPTED: [&str; 5] = [
    r#"7 write(12</k/standing.json.tmp>, "{\"active\":\"sha256:aa\",\"unconfirmed\":{\"session\":\"s\",\"offer\":\"11234567-0123-0123-0123-0123456789ab\",\"digest\":\"sha256:aa\",\"warnings\":[],\"nack\":null,\"at\":\"\"}}", 9) = 9"#,
    r#"7 fsync(12</k/standing.json.tmp>) = 0"#,
    r#"7 rename("/k/standing.json.tmp", "/k/standing.json") = 0"#,
    r#"7 fsync(13</k>) = 0"#,
    r#"8 sendto(9<TCP:[127.0.0.1:5->127.0.0.1:7]>, "\0\n$98765432-0123-0123-0123-0123456789ab\22$11234567-0123-0123-0123-0123456789ab", 80, MSG_NOSIGNAL, NULL, 0) = 80"#,
];
