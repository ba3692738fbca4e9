//! Every step of push, offer, keep, swap, report and its confirmation × {the program dies there, it dawdles, the step
//! fails}: after each, what was acknowledged is kept, generations only grew and within ten seconds nobody is stuck.

use std::time::Duration;

use tests::eventually::eventually;

use crate::ledger_of_truth::verify;
use crate::rig::{Database, Rig};

/// Whose step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Plane,
    /// The first gateway.
    Gateway,
}

const STEPS: &[(Program, &str)] = &[
    (Program::Plane, "push_config.before_begin"),
    (Program::Plane, "push_config.before_commit"),
    (Program::Plane, "push_config.after_commit"),
    (Program::Plane, "push.before_reply"),
    (Program::Plane, "rollout_step.before_begin"),
    (Program::Plane, "rollout_step.before_commit"),
    (Program::Plane, "rollout_step.after_commit"),
    (Program::Plane, "offer.before_send"),
    (Program::Plane, "offer.before_parcel"),
    (Program::Plane, "offer.after_send"),
    (Program::Plane, "record_sent.before_begin"),
    (Program::Plane, "record_sent.before_commit"),
    (Program::Plane, "record_sent.after_commit"),
    (Program::Plane, "record_reports.before_begin"),
    (Program::Plane, "record_reports.before_commit"),
    (Program::Plane, "record_reports.after_commit"),
    (Program::Plane, "report_ack.before_send"),
    (Program::Plane, "report_ack.after_send"),
    (Program::Gateway, "offer.received"),
    (Program::Gateway, "keep.before"),
    (Program::Gateway, "file.staged"),
    (Program::Gateway, "file.renamed"),
    (Program::Gateway, "standing.staged"),
    (Program::Gateway, "standing.renamed"),
    (Program::Gateway, "swap.before"),
    (Program::Gateway, "swap.after"),
    (Program::Gateway, "report.before_send"),
    (Program::Gateway, "report.after_send"),
    (Program::Gateway, "confirm.before_keep"),
];
const ACTIONS: [&str; 3] = ["abort", "delay:700", "error"];
/// What is kept is swapped in, and what was sent was sent: these steps can end a program or hold it up, never fail.
const CANNOT_FAIL: [&str; 3] = ["swap.before", "swap.after", "report.after_send"];
const STRIKES_WITHIN: Duration = Duration::from_secs(15);
/// As many stages as the cases are dealt to; they mostly wait.
const STAGES: usize = 3;

/// What one stage saw.
#[derive(Debug, Default)]
struct Tally {
    landed: usize,
    slowest: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_may_die_dawdle_or_fail() {
    let mut cases: Vec<_> =
        STEPS.iter().flat_map(|(program, step)| ACTIONS.map(|action| (*program, *step, action))).collect();
    cases.retain(|(_, step, action)| *action != "error" || !CANNOT_FAIL.contains(step));
    let stages = (0..STAGES).map(|stage| {
        let mine = cases.chunks(cases.len().div_ceil(STAGES)).nth(stage).unwrap_or_default();
        play(mine.to_vec())
    });
    let tallies = futures_util::future::join_all(stages).await;
    let landed: usize = tallies.iter().map(|tally| tally.landed).sum();
    let slowest = tallies.iter().map(|tally| tally.slowest).max().unwrap_or_default();
    eprintln!(
        "crash matrix: {landed}/{} cases landed; the slowest was settled after {slowest:?}",
        cases.len()
    );
    assert_eq!(landed, cases.len());
}

async fn play(cases: Vec<(Program, &'static str, &'static str)>) -> Tally {
    let mut rig = Rig::start(Database::Shared, 1, 2).await;
    let mut tally = Tally::default();
    for (program, step, action) in cases {
        eprintln!("{program:?} {step} {action}");
        let struck_before = struck(&rig, program, step);
        let pid = pid(&rig, program);
        let points = format!("{step}=1*return({action})");
        match program {
            Program::Plane => rig.planes[0].arm(&points),
            Program::Gateway => rig.gateways[0].arm(&points),
        }
        rig.publish().await;
        eventually(&format!("{step} is struck by {action}"), STRIKES_WITHIN, async || {
            if struck(&rig, program, step) > struck_before { Ok(()) } else { Err("not yet") }
        })
        .await;
        if action == "abort" {
            until_dead(&mut rig, program, pid);
        }
        rig.revive().await;
        rig.planes[0].arm("");
        rig.gateways[0].arm("");
        tally.slowest = tally.slowest.max(rig.until_settled().await);
        tally.landed += 1;
    }
    eprintln!("{}", verify(&rig).await);
    tally
}

fn struck(rig: &Rig, program: Program, step: &str) -> usize {
    let log = match program {
        Program::Plane => rig.planes[0].log(),
        Program::Gateway => rig.gateways[0].log(),
    };
    log.lines().filter(|line| line.contains("failpoint struck") && line.contains(step)).count()
}

/// The program of this process dies at once; who publishes may have started it again already.
fn until_dead(rig: &mut Rig, program: Program, pid: u32) {
    let process = match program {
        Program::Plane => rig.planes[0].process.as_mut(),
        Program::Gateway => rig.gateways[0].process.as_mut(),
    };
    if let Some(process) = process.filter(|process| process.pid() == pid) {
        process.until_ended(STRIKES_WITHIN);
    }
}

fn pid(rig: &Rig, program: Program) -> u32 {
    let process = match program {
        Program::Plane => &rig.planes[0].process,
        Program::Gateway => &rig.gateways[0].process,
    };
    process.as_ref().expect("it runs").pid()
}
