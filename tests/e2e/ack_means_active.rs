//! What the control plane calls active serves there, at once: no ack comes before its swap.

use proto::v1;
use tests::eventually::eventually;
use tests::fleet::{FLEET, Fleet};
use tests::plane::PATIENCE;

const PUSHES: usize = 30;
const GATEWAYS: [&str; 3] = ["edge-1", "edge-2", "edge-3"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_counted_as_active_serves_the_version() {
    let fleet = Fleet::start(&GATEWAYS).await;
    let mut looked_at = 0;
    for number in 1..=PUSHES {
        let version = format!("0.{number}.0");
        let pushed = fleet.plane.push(FLEET, &fleet.provider.pack(&version, "prompt-injection")).await;
        let id = pushed.rollout.unwrap().id;
        for name in GATEWAYS {
            eventually(&format!("{name} is active with {version}"), PATIENCE, async || {
                let gateway = fleet.plane.gateway(FLEET, name).await;
                let observed = gateway.observed.map(|observed| observed.version);
                if observed.as_ref() == Some(&version) { Ok(()) } else { Err(observed) }
            })
            .await;
            // Not waited for: it was said to be so.
            let answer = fleet.http.get(&fleet.models_url(name)).await.unwrap();
            assert_eq!(answer.version(), Some(version.as_str()), "a false ack of {name}");
            looked_at += 1;
        }
        fleet.until_ended(&id, v1::RolloutState::Succeeded).await;
    }
    eprintln!("{looked_at} acks looked at, 0 false");
}
