//! Peers that abuse HTTP/2, against the built program, so that its memory is its own: each script ends or is ended,
//! a gateway that behaves gets a push meanwhile, and memory stays where it was.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use proto::v1;
use tests::eventually::eventually;
use tests::operator::{Operator, pack, push_request};
use tests::plane::{PATIENCE, Plane};
use tests::programs::{PlaneProgram, passable_dir};
use tokio::io::AsyncReadExt;

use crate::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW, PING, PREFACE, RST_STREAM, Raw,
    SETTINGS, call, frame, message,
};
use crate::witness::Witness;

const TAIL: &str = "/kt.fleet.v1.HistoryService/TailEvents";
const LIST: &str = "/kt.fleet.v1.FleetService/ListFleets";
const ATTACH: &str = "/kt.fleet.v1.DeliveryService/Attach";
/// Row R20 of the promises.
const MEMORY_MAY_GROW_KIB: u64 = 64 * 1024;
/// Before a ping could have told, on a loaded machine.
const SOON: Duration = Duration::from_secs(15);
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn floods_leave_memory_and_others_as_they_were() {
    let database = tests::postgres::database(&control_plane::store::migrate::MIGRATOR).await;
    let dir = passable_dir();
    let mut program = PlaneProgram::new(dir.path(), Some(&database.url));
    program.start().await;
    may_open_many_files();
    let pid = program.process.as_ref().unwrap().pid();
    let operator = program.operator();
    let mut witness = Witness::attach(&operator).await;
    let calm = witness.is_served().await;
    let before = resident_kib(pid);
    let mut highest = before;
    let mut slowest = Duration::ZERO;
    // Open from the first script on; looked at again at the end.
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(Raw::connect(&operator.url).await);
    }
    let opened = Instant::now();
    for script in Script::ALL {
        let began = Instant::now();
        let ((), served) = tokio::join!(script.run(&operator), witness.is_served());
        let memory = resident_kib(pid);
        highest = highest.max(memory);
        slowest = slowest.max(served);
        println!("{script:?}: {:?}, witness {served:?}, {memory} KiB", began.elapsed());
    }
    for raw in &mut idle {
        let mut nothing = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, raw.stream.read_to_end(&mut nothing)).await;
        closed.expect("a connection that says nothing is closed").unwrap();
    }
    println!("1 000 idle connections were closed within {:?}", opened.elapsed());
    without_files(pid, &operator).await;
    let again = witness.is_served().await;
    highest = highest.max(resident_kib(pid));
    slowest = slowest.max(again);
    println!(
        "memory: {before} KiB before, {highest} KiB at most; witness: {calm:?} calm, {slowest:?} at most"
    );
    assert!(highest - before < MEMORY_MAY_GROW_KIB, "{before} KiB grew to {highest} KiB");
    let log = program.process.as_ref().unwrap().log();
    assert!(!log.contains("panicked"), "{log}");
}

#[derive(Debug, Clone, Copy)]
enum Script {
    RapidReset,
    ContinuationFlood,
    EmptyDataFlood,
    PingFlood,
    SettingsFlood,
    WindowUpdateFlood,
    HeadersTooLong,
    TooManyStreams,
    ZeroWindow,
    BadFrames,
}

// === impl Script ===

impl Script {
    const ALL: [Self; 10] = [
        Self::RapidReset,
        Self::ContinuationFlood,
        Self::EmptyDataFlood,
        Self::PingFlood,
        Self::SettingsFlood,
        Self::WindowUpdateFlood,
        Self::HeadersTooLong,
        Self::TooManyStreams,
        Self::ZeroWindow,
        Self::BadFrames,
    ];

    async fn run(self, operator: &Operator) {
        let token = operator.operator.0.as_str();
        let url = operator.url.as_str();
        match self {
            Self::RapidReset => rapid_reset(url, token).await,
            Self::ContinuationFlood => {
                let mut raw = Raw::begin(url, &[]).await;
                raw.say(&frame(HEADERS, 0, 1, &call(LIST, Some(token), &[]))).await;
                let more = frame(CONTINUATION, 0, 1, &[0; 1_024]).repeat(64);
                let mut said = 0;
                while said < 100_000 && raw.say(&more).await {
                    said += 64;
                }
                assert!(said < 100_000, "a header list without an end was taken");
            }
            Self::EmptyDataFlood => empty_data(url, token).await,
            Self::PingFlood => flood(url, frame(PING, 0, 0, &[7; 8])).await,
            Self::SettingsFlood => flood(url, frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])).await,
            Self::WindowUpdateFlood => flood(url, frame(8, 0, 0, &[0, 0, 0, 1])).await,
            Self::HeadersTooLong => {
                let mut raw = Raw::begin(url, &[]).await;
                let long = "x".repeat(15 * 1024);
                let block = call(LIST, Some(token), &[("x-one", &long), ("x-two", &long)]);
                let (first, rest) = block.split_at(16_000);
                raw.say(&frame(HEADERS, END_STREAM, 1, first)).await;
                raw.say(&frame(CONTINUATION, END_HEADERS, 1, rest)).await;
                // 431 Request Header Fields Too Large, as a plain literal or with Huffman's code.
                let answer = raw.hear_of(HEADERS, 1).await.expect("an answer of HTTP");
                assert!(answer.payload.len() < 64, "{answer:?}");
                // The connection lives: only that call was refused.
                raw.say(&frame(HEADERS, END_HEADERS, 3, &call(LIST, Some(token), &[]))).await;
                raw.say(&frame(DATA, END_STREAM, 3, &message(&[]))).await;
                assert!(raw.hear_of(DATA, 3).await.is_some());
            }
            Self::TooManyStreams => too_many_streams(url, token).await,
            Self::ZeroWindow => {
                // Asks a hundred times and takes no byte of any answer; then goes.
                let mut raw = Raw::begin(url, &[(INITIAL_WINDOW, 0)]).await;
                for id in (1..200).step_by(2) {
                    raw.say(&frame(HEADERS, END_HEADERS, id, &call(LIST, Some(token), &[]))).await;
                    raw.say(&frame(DATA, END_STREAM, id, &message(&[]))).await;
                }
                assert!(raw.hear_of(HEADERS, 199).await.is_some());
            }
            Self::BadFrames => bad_frames(url).await,
        }
    }
}

async fn rapid_reset(url: &str, token: &str) {
    let mut raw = Raw::begin(url, &[]).await;
    let block = call(LIST, Some(token), &[]);
    for id in (1..200_000).step_by(2) {
        let mut both = frame(HEADERS, END_HEADERS, id, &block);
        both.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
        if !raw.say(&both).await {
            break;
        }
    }
    assert_eq!(raw.until_closed().await, Some(ENHANCE_YOUR_CALM));
}

/// On a stream that is open and waits for its message.
async fn empty_data(url: &str, token: &str) {
    let mut raw = Raw::begin(url, &[]).await;
    raw.say(&frame(HEADERS, END_HEADERS, 1, &call(LIST, Some(token), &[]))).await;
    let many = frame(DATA, 0, 1, &[]).repeat(1_000);
    for _ in 0..100 {
        if !raw.say(&many).await {
            break;
        }
    }
    assert_eq!(raw.until_closed().await, Some(ENHANCE_YOUR_CALM));
}

/// A hundred thousand frames, none of whose answers is read. HTTP/2 allows them, and nothing ends them: what is held
/// is that they cost no memory, and nobody else a push.
async fn flood(url: &str, one: Vec<u8>) {
    let mut raw = Raw::begin(url, &[]).await;
    let many = one.repeat(1_000);
    for _ in 0..100 {
        if !raw.say(&many).await {
            break;
        }
    }
}

async fn too_many_streams(url: &str, token: &str) {
    let mut raw = Raw::begin(url, &[]).await;
    // Known to the client before it begins, or it would not be refused but ended.
    raw.hear_of(SETTINGS, 0).await.unwrap();
    raw.say(&frame(SETTINGS, 1, 0, &[])).await;
    for id in (1..=201).step_by(2) {
        raw.say(&frame(HEADERS, END_HEADERS, id, &call(TAIL, Some(token), &[]))).await;
        raw.say(&frame(DATA, END_STREAM, id, &message(&[]))).await;
    }
    let (mut open, mut refused) = (0, Vec::new());
    while open < 100 || refused.is_empty() {
        let frame = raw.hear().await.expect("an answer to each");
        match frame.kind {
            HEADERS => open += 1,
            RST_STREAM => refused.push((frame.id, frame.payload)),
            _ => {}
        }
    }
    assert_eq!(refused[0], (201, REFUSED_STREAM.to_be_bytes().to_vec()), "{refused:?}");
    assert!(refused.iter().all(|(id, _)| *id == 201), "{refused:?}");
}

/// What no HTTP/2 is: each ends its connection.
async fn bad_frames(url: &str) {
    let scripts: [&[u8]; 5] = [
        &frame(DATA, 0, 1, b"before any headers"),
        &frame(SETTINGS, 0, 0, b"odd"),
        &frame(PING, 0, 0, b"short"),
        &frame(HEADERS, END_HEADERS, 1, &[0xff; 64]),
        &[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1],
    ];
    for script in scripts {
        let mut raw = Raw::begin(url, &[]).await;
        raw.say(script).await;
        raw.until_closed().await;
    }
}

#[tokio::test]
async fn a_connection_that_does_not_begin_is_closed() {
    let plane = Plane::start_with(|timings| timings.handshake = Duration::from_millis(300)).await;
    let mut slow = Raw::connect(&plane.url).await;
    let mut silent = Raw::connect(&plane.url).await;
    let mut half = Raw::connect(&plane.url).await;
    half.say(PREFACE).await;
    let began = Instant::now();
    let drip = async {
        for byte in PREFACE {
            if !slow.say(&[*byte]).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::join!(drip, silent.until_closed(), half.until_closed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    plane.create_fleet("prod").await;
    plane.end().await;
}

#[tokio::test]
async fn a_connection_without_a_credential_is_closed_and_one_with_it_stays() {
    let plane = Plane::start_with(|timings| timings.stranger = Duration::from_millis(300)).await;
    let list = |token: Option<&str>| frame(HEADERS, END_HEADERS, 1, &call(LIST, token, &[]));
    let mut known = Raw::begin(&plane.url, &[]).await;
    known.say(&list(Some(&plane.operator.0))).await;
    known.say(&frame(DATA, END_STREAM, 1, &message(&[]))).await;
    assert!(known.hear_of(DATA, 1).await.is_some());
    let mut stranger = Raw::begin(&plane.url, &[]).await;
    stranger.say(&list(None)).await;
    let mut quiet = Raw::begin(&plane.url, &[]).await;
    let began = Instant::now();
    tokio::join!(stranger.until_closed(), quiet.until_closed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    known.say(&frame(HEADERS, END_HEADERS, 3, &call(LIST, Some(&plane.operator.0), &[]))).await;
    known.say(&frame(DATA, END_STREAM, 3, &message(&[]))).await;
    assert!(known.hear_of(DATA, 3).await.is_some(), "a connection that is used is not closed");
    drop(known);
    plane.end().await;
}

#[tokio::test]
async fn a_connection_that_a_known_caller_leaves_unused_is_closed_and_one_that_follows_stays() {
    let plane = Plane::start_with(|timings| timings.idle = Duration::from_millis(300)).await;
    let ask = |path| frame(HEADERS, END_HEADERS, 1, &call(path, Some(&plane.operator.0), &[]));
    let mut follows = Raw::begin(&plane.url, &[]).await;
    follows.say(&ask(TAIL)).await;
    follows.say(&frame(DATA, END_STREAM, 1, &message(&[]))).await;
    assert!(follows.hear_of(HEADERS, 1).await.is_some());
    let mut unused = Raw::begin(&plane.url, &[]).await;
    unused.say(&ask(LIST)).await;
    unused.say(&frame(DATA, END_STREAM, 1, &message(&[]))).await;
    assert!(unused.hear_of(DATA, 1).await.is_some());
    let began = Instant::now();
    unused.until_closed().await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    // Older than the other one, and as quiet.
    let stored = v1::PushConfigRequest { rollout: None, ..push_request("prod", &pack("0.1.0")) };
    plane.configs().push_config(stored).await.unwrap();
    assert!(follows.hear_of(DATA, 1).await.is_some(), "it is told what happens");
    drop(follows);
    plane.end().await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_closes_its_connection() {
    let plane = Plane::start_with(|timings| timings.unread = Duration::from_millis(300)).await;
    let mut raw = Raw::begin(&plane.url, &[(INITIAL_WINDOW, 0)]).await;
    raw.say(&frame(HEADERS, END_HEADERS, 1, &call(LIST, Some(&plane.operator.0), &[]))).await;
    raw.say(&frame(DATA, END_STREAM, 1, &message(&[]))).await;
    assert!(raw.hear_of(HEADERS, 1).await.is_some(), "it is answered");
    let began = Instant::now();
    raw.until_closed().await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    plane.create_fleet("prod").await;
    plane.end().await;
}

#[tokio::test]
async fn of_nine_streams_of_one_agent_one_is_refused_and_another_agent_is_let_in() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let (one, other) = (plane.enroll("prod", "edge-1").await, plane.enroll("prod", "edge-2").await);
    let mut raw = Raw::begin(&plane.url, &[]).await;
    for id in (1..=17).step_by(2) {
        raw.say(&frame(HEADERS, END_HEADERS, id, &call(ATTACH, Some(&one.0), &[]))).await;
    }
    // Open streams are not answered before their Hello; the ninth is refused at once.
    let (mut open, mut refused) = (0, 0);
    while open + refused < 9 {
        let frame = raw.hear().await.expect("nine answers");
        if frame.kind == HEADERS {
            let ended = frame.flags & END_STREAM == END_STREAM;
            *if ended { &mut refused } else { &mut open } += 1;
        }
    }
    assert_eq!((open, refused), (8, 1));
    let mut beside = Raw::begin(&plane.url, &[]).await;
    beside.say(&frame(HEADERS, END_HEADERS, 1, &call(ATTACH, Some(&other.0), &[]))).await;
    let answer = beside.hear_of(HEADERS, 1).await.expect("an answer");
    assert_eq!(answer.flags & END_STREAM, 0, "another agent is let in");
    drop((raw, beside));
    plane.end().await;
}

/// The program has no file left for another connection: it tries on without spinning, and goes on when it has some.
async fn without_files(pid: u32, operator: &Operator) {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    // As `ulimit -n`, from outside.
    let limit = format!("--nofile={0}:{0}", open + 10);
    let limited = std::process::Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
    assert!(limited.unwrap().success());
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(Raw::connect(&operator.url).await);
    }
    eventually("every file is in use", PATIENCE, async || {
        let now = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        if now >= open + 10 { Ok(()) } else { Err(now) }
    })
    .await;
    let before = processor_time(pid);
    let looked = Instant::now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = processor_time(pid) - before;
    println!("without files: {busy:?} of processor time in {:?}", looked.elapsed());
    assert!(busy < looked.elapsed() / 2, "it spins: {busy:?}");
    drop(held);
}

/// What a process has used so far.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // After the name in parentheses: user and system time are the 12th and 13th, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// This process holds the other ends of many connections.
fn may_open_many_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(8_192), hard).unwrap();
}

/// The memory of a process that is not on disk, in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
