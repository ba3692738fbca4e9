//! The link between agents and the control plane, cut in every way: gateways serve, and are back soon after.
#![cfg(test)]

use std::time::Duration;

use tests::cut_link::{CutLink, Stalled, Target};
use tests::fleet::Fleet;
use tests::plane::{PATIENCE, Plane};
use tokio::time::{Instant, sleep};

use crate::support::{Load, push_until_served, until_in_sync};

const WITHIN: Duration = Duration::from_secs(5);
/// What an agent takes at most to find out that its peer is gone, with what it then takes to be back.
const FOUND_OUT: Duration = Duration::from_secs(12 + 5);
const NAMES: [&str; 5] = ["reset", "deaf", "unheard", "flapping", "forgotten"];

async fn until_new_connection(link: &CutLink, before: u64) {
    tests::eventually::eventually("it dials again", PATIENCE, async || {
        if link.connections() > before { Ok(()) } else { Err(link.connections()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_serve_over_every_fault_of_the_link_and_are_back_soon() {
    let plane = Plane::start().await;
    let address = plane.url.trim_start_matches("http://").parse().unwrap();
    let mut fleet = Fleet::start_on(plane, &[]).await;
    let mut links = Vec::new();
    for name in NAMES {
        let link = CutLink::to(Target::Tcp(address)).await;
        fleet.dial = Some(format!("http://{}", link.address));
        fleet.start_gateway(name).await;
        links.push(link);
    }
    push_until_served(&fleet, "0.1.0", &NAMES).await;
    until_in_sync(&fleet.plane, &NAMES, "0.1.0").await;
    let load: Vec<Load> = NAMES.iter().map(|name| Load::on(fleet.chat_url(name))).collect();
    let [reset, deaf, unheard, flapping, forgotten] = links.as_slice() else { panic!("one link each") };

    let dialled = forgotten.connections();
    forgotten.lose();
    deaf.stall(Stalled::Answers);
    unheard.stall(Stalled::Requests);
    reset.cut();
    let began = Instant::now();
    let found_out = async {
        until_new_connection(forgotten, dialled).await;
        began.elapsed()
    };
    let flap = async {
        for _ in 0..5 {
            flapping.cut();
            sleep(Duration::from_secs(1)).await;
            flapping.pass();
            sleep(Duration::from_secs(1)).await;
        }
    };
    // The half-open one is the slowest; meanwhile the others are away for longer than any wait between tries.
    let (found_out, ()) = tokio::join!(found_out, flap);
    eprintln!("a peer that vanished was found out after {found_out:?}");
    assert!(found_out < FOUND_OUT, "{found_out:?}");
    for link in [reset, deaf, unheard] {
        link.pass();
    }
    let healed = Instant::now();
    push_until_served(&fleet, "0.2.0", &NAMES).await;
    until_in_sync(&fleet.plane, &NAMES, "0.2.0").await;
    let took = healed.elapsed();
    eprintln!("all links were back {took:?} after they healed");
    assert!(took < WITHIN, "{took:?}");
    for load in load {
        assert!(load.served().await > 100);
    }
}
