//! State files of every kind of wrong, one at a time and together: a gateway starts on them, serves a pack that it
//! activated itself or none, keeps what was spoiled for whoever looks, and finds nothing more to complain of at
//! its next start.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::stream::{self, StreamExt};
use gateway_agent::app::gateway::Gateway;
use gateway_agent::args::Args;
use gateway_agent::settings::{Environment, Settings};
use policy_config::ConfigDigest;
use proto::v1::RolloutState;
use service_kit::clock::Clock;
use tempfile::TempDir;
use tests::eventually::eventually;
use tests::plane::Plane;

use crate::support::{PATIENCE, full_sweep, pack_of, push_until};
use damage::Damage;

mod credential;
mod damage;

/// A start, on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:9";

/// The directory of a gateway that ran 0.1.0, then 0.2.0; its standing in between; and that of another
/// gateway of another fleet, which ran 0.9.0.
pub(crate) struct Lived {
    pub(crate) own: PathBuf,
    pub(crate) older_standing: Vec<u8>,
    pub(crate) foreign: PathBuf,
    home: TempDir,
}

/// What is wrong with a directory.
struct Case {
    what: String,
    damages: Vec<(String, Damage)>,
    may_serve: &'static [&'static str],
    /// Something must have been set aside.
    named: bool,
}

const OWN: [&str; 2] = ["0.1.0", "0.2.0"];
const NOTHING: [&str; 0] = [];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spoiled_file_is_served_or_keeps_a_gateway_from_starting() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Threads of other tests in this process have their names.
        let test = std::thread::current().name().is_some_and(|name| name.contains("::"));
        PANICS.fetch_add(usize::from(!test), Ordering::Relaxed);
        told(panic);
    }));
    let lived = Lived::make().await;
    let cases = cases(&lived);
    let seed = fastrand::u64(..);
    let tried = stream::iter(&cases).map(|case| tried(&lived, case, seed));
    let problems: Vec<String> =
        tried.buffer_unordered(4).filter_map(|problem| std::future::ready(problem.err())).collect().await;
    println!(
        "state files: {} cases, {} wrong, {} panics (seed {seed})",
        cases.len(),
        problems.len(),
        PANICS.load(Ordering::Relaxed)
    );
    assert_eq!((problems, PANICS.load(Ordering::Relaxed)), (Vec::new(), 0), "seed {seed}");
}

fn cases(lived: &Lived) -> Vec<Case> {
    let pack =
        |version: &str| format!("packs/{}.yaml", ConfigDigest::of(pack_of("prod", version).as_bytes()).hex());
    let (first, second) = (pack("0.1.0"), pack("0.2.0"));
    let mut cases = Vec::new();
    for file in
        ["standing.json", "standing.previous.json", "instance.json", "credential.json", &first, &second]
    {
        let length = fs::metadata(lived.own.join(file)).expect("it was written").len();
        let length = usize::try_from(length).expect("it is small");
        for damage in Damage::of_a_file(length, full_sweep()) {
            let named = damage.is_noticed() && file != "instance.json" && file != "credential.json";
            let may_serve: &[&str] = if named && file == second { &["0.1.0"] } else { &OWN };
            let what = format!("{file}: {damage:?}");
            cases.push(Case { what, damages: vec![(file.to_owned(), damage)], may_serve, named });
        }
    }
    let slots =
        |damage: Damage| ["standing.json", "standing.previous.json"].map(|file| (file.to_owned(), damage));
    let packs = |damage: Damage| [first.clone(), second.clone()].map(|file| (file, damage));
    let mut together =
        |what: &str, damages: Vec<(String, Damage)>, may_serve: &'static [&'static str], named| {
            cases.push(Case { what: what.to_owned(), damages, may_serve, named });
        };
    for damage in [Damage::Empty, Damage::Garbage, Damage::Directory, Damage::Fifo, Damage::Link] {
        together(&format!("both slots: {damage:?}"), slots(damage).to_vec(), &OWN, true);
        let everything = [slots(damage), packs(damage)].concat();
        together(&format!("slots and packs: {damage:?}"), everything, &NOTHING, true);
        together(&format!("both packs: {damage:?}"), packs(damage).to_vec(), &NOTHING, true);
    }
    together("both slots are gone", slots(Damage::Missing).to_vec(), &OWN, false);
    // Nothing on this host can tell: both are this gateway's, whole and in order.
    together("both slots are older copies", slots(Damage::Older).to_vec(), &OWN, false);
    together(
        "an older copy, and one of another gateway",
        [("standing.json".to_owned(), Damage::Older), ("standing.previous.json".to_owned(), Damage::Foreign)]
            .to_vec(),
        &OWN,
        true,
    );
    together(
        "the newer is of another gateway",
        vec![("standing.json".to_owned(), Damage::Foreign)],
        &OWN,
        true,
    );
    together("both slots are of another gateway", slots(Damage::Foreign).to_vec(), &NOTHING, true);
    together("all is of another gateway", vec![(".".to_owned(), Damage::Foreign)], &NOTHING, true);
    cases
}

/// Two starts on one spoiled directory.
async fn tried(lived: &Lived, case: &Case, seed: u64) -> Result<(), String> {
    let home = lived.copy();
    let dir = home.path().join("state/gateways/edge-1");
    for (file, damage) in &case.damages {
        damage.apply(&dir, file, lived, seed);
    }
    let mut asides = Vec::new();
    for start in 1..=2 {
        let began = Instant::now();
        let gateway = Gateway::start(settings(home.path(), "edge-1", "prod", NOBODY), Clock::system());
        let gateway = tokio::time::timeout(START_LIMIT, gateway).await;
        let gateway = gateway.map_err(|_| format!("{}: start {start} hangs", case.what))?;
        let gateway = gateway.map_err(|error| format!("{}: start {start}: {error}", case.what))?;
        let serves = gateway.policy().map(|policy| policy.version.to_string());
        gateway.stop().await.map_err(|error| format!("{}: {error}", case.what))?;
        let right = match &serves {
            Some(version) => case.may_serve.contains(&version.as_str()),
            None => case.may_serve.is_empty(),
        };
        if !right {
            return Err(format!("{}: start {start} serves {serves:?}, not {:?}", case.what, case.may_serve));
        }
        if began.elapsed() > START_LIMIT {
            return Err(format!("{}: start {start} took {:?}", case.what, began.elapsed()));
        }
        asides.push(aside(&dir));
    }
    match asides.as_slice() {
        [0, _] if case.named => Err(format!("{}: nothing was set aside", case.what)),
        [first, second] if first != second => {
            Err(format!("{}: the second start found more: {asides:?}", case.what))
        }
        _ => Ok(()),
    }
}

fn aside(dir: &Path) -> usize {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries(dir).chain(entries(&dir.join("packs"))).map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().contains(".bad-")).count()
}

/// A managed gateway in this process, on any port.
pub(crate) fn settings(home: &Path, name: &str, fleet: &str, control_plane: &str) -> Settings {
    let words =
        ["kt-gateway", "--name", name, "--listen", "127.0.0.1:0", "--fleet", fleet, "--control-plane"];
    let args = Args::try_parse_from(words.iter().copied().chain([control_plane])).expect("valid words");
    let path = |name: &str| home.join(name).to_str().expect("text").to_owned();
    let environment =
        Environment::fixed([("KT_HOME", path("state")), ("KT_TOKEN_FILE", path("operator.token"))]);
    Settings::from_args(args, environment).expect("valid settings")
}

// === impl Lived ===

impl Lived {
    pub(crate) async fn make() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let plane = Plane::start().await;
        fs::copy(plane.token_file(), home.path().join("operator.token")).expect("the token");
        let dir = |name: &str| home.path().join("state/gateways").join(name);
        let (own, foreign) = (dir("edge-1"), dir("edge-2"));
        let mut older_standing = Vec::new();
        for (name, fleet, versions) in [("edge-1", "prod", &OWN[..]), ("edge-2", "staging", &["0.9.0"])] {
            plane.create_fleet(fleet).await;
            let settings = settings(home.path(), name, fleet, &plane.url);
            let gateway = Gateway::start(settings, Clock::system()).await.expect("it starts");
            for version in versions {
                push_until(&plane, fleet, version, RolloutState::Succeeded).await;
                until_confirmed(&gateway).await;
                if *version == "0.1.0" {
                    older_standing = fs::read(own.join("standing.json")).expect("it was kept");
                }
            }
            gateway.stop().await.expect("it ends in order");
        }
        plane.end().await;
        Self { own, older_standing, foreign, home }
    }

    /// A home with a copy of the gateway's directory.
    pub(crate) fn copy(&self) -> TempDir {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::copy(self.home.path().join("operator.token"), home.path().join("operator.token"))
            .expect("a copy");
        copy_dir(&self.own, &home.path().join("state/gateways/edge-1"));
        home
    }
}

async fn until_confirmed(gateway: &Gateway) {
    eventually("the report is confirmed", PATIENCE, async || match &gateway.record().unconfirmed {
        None => Ok(()),
        Some(report) => Err(report.offer),
    })
    .await;
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            copy_dir(&entry.path(), &target);
        } else if !kind.is_socket() {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
