//! Gateways behind a balancer that sends them from one replica to the other while packs are pushed: no version goes
//! back, and when it ends everybody runs the newest within seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use service_kit::drain;
use tests::cut_link::{CutLink, Target};

use crate::ledger_of_truth::verify;
use crate::replicas::versions_served;
use crate::rig::{Database, Rig};

const MOVES: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_move_between_replicas_never_go_back() {
    let mut rig = Rig::start(Database::Shared, 2, 0).await;
    let link = CutLink::to(Target::Tcp(rig.planes[0].address())).await;
    rig.add_gateways(3, &format!("http://{}", link.address)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (_trigger, tasks) = drain::channel();
    let watched: Vec<_> = rig
        .gateways
        .iter()
        .map(|gateway| tasks.spawn("watcher", versions_served(gateway.url(), Arc::clone(&stop))))
        .collect();
    for step in 0..MOVES {
        // One replica hears of what the other did by NOTIFY or by polling, so they are not equally fresh.
        let to = usize::try_from(step % 2).unwrap();
        link.lead_to(Target::Tcp(rig.planes[1 - to].address()));
        rig.supersede(to).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let took = rig.until_settled().await;
    stop.store(true, Ordering::SeqCst);
    for watcher in watched {
        let seen = watcher.await.expect("it does not panic");
        assert!(seen.is_sorted(), "a gateway went back: {seen:?}");
        assert_eq!(seen.last(), Some(&(1 + MOVES)), "{seen:?}");
    }
    eprintln!("moved {MOVES} times: {}; all settled {took:?} after the last move", verify(&rig).await);
}
