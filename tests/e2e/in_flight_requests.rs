//! A request keeps the pack it began with to its last byte.

use proto::v1;
use tests::fleet::{FLEET, Fleet};
use tests::http::{chat, slow_stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_over_a_swap_ends_whole_on_its_own_pack() {
    let fleet = Fleet::start(&["edge-1"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", "audit-logger")).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;

    let mut stream =
        fleet.http.start(&fleet.chat_url("edge-1"), &slow_stream("story", 30, 50)).await.unwrap();
    assert_eq!(stream.version(), Some("0.1.0"));
    stream.next().await.unwrap().expect("a first piece");

    let second = fleet.provider.pack("0.2.0", "pii-detector, audit-logger");
    let pushed = fleet.plane.push(FLEET, &second).await;
    fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let other = fleet.http.post(&fleet.chat_url("edge-1"), &chat("hello")).await.unwrap();
    assert_eq!(other.version(), Some("0.2.0"));

    let whole = stream.whole().await.unwrap();
    assert_eq!(whole.version(), Some("0.1.0"));
    assert!(whole.text().contains("data: [DONE]"), "{}", whole.text());
}
