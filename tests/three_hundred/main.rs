//! Three hundred gateways in one process: one push reaches them all, what it costs the database does not grow with
//! the fleet, one that sleeps holds up nobody, and a restart of the control plane sends nobody what it has.
#![cfg(test)]

use std::time::Duration;

use proto::v1;
use proto::v1::delivery_service_client::DeliveryServiceClient;
use tests::eventually::eventually;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::operator::push_request;
use tests::statements;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const FEW: usize = 3;
const GATEWAYS: usize = 300;
/// What a push to many may cost more than one to a few: some batches, and what runs by the clock meanwhile.
const MORE: u64 = 60;
/// A statement for each gateway would run as often as there are gateways.
const OF_ONE_KIND: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_gateways() {
    statements::count();
    let names: Vec<String> = (0..GATEWAYS).map(|number| format!("edge-{number}")).collect();
    let mut fleet = Fleet::start(&[]).await;
    for name in &names[..FEW] {
        fleet.start_gateway(name).await;
    }
    fleet.plane.until_online(FLEET, FEW, PATIENCE).await;
    let (rollout, few) = push_to_all(&fleet, "0.1.0", &names[..FEW]).await;
    until_baking(&fleet, &rollout).await;

    for name in &names[FEW..] {
        fleet.start_gateway(name).await;
    }
    fleet.plane.until_online(FLEET, GATEWAYS, PATIENCE).await;
    let (rollout, cost) = push_to_all(&fleet, "0.2.0", &names).await;
    until_baking(&fleet, &rollout).await;
    let bounded = cost.total() <= few.total() + MORE && cost.most() <= OF_ONE_KIND;
    assert!(bounded, "too many statements:\n{cost}against, for a few:\n{few}");

    one_sleeps(&fleet, &names).await;
    all_return(&mut fleet).await;
}

/// One more gateway, which takes its stream and reads nothing of it.
async fn one_sleeps(fleet: &Fleet, names: &[String]) {
    let credential = fleet.plane.enroll(FLEET, "sleeper").await;
    let (say, said) = mpsc::channel(1);
    let hello = v1::Hello {
        boot_id: uuid::Uuid::new_v4().to_string(),
        session_counter: 1,
        agent_version: "0.1.0".into(),
        max_config_bytes: 262_144,
        ..Default::default()
    };
    say.send(v1::FromAgent { message: Some(v1::from_agent::Message::Hello(hello)) }).await.unwrap();
    let mut client = DeliveryServiceClient::with_interceptor(fleet.plane.channel(), credential);
    let _unread = client.attach(ReceiverStream::new(said)).await.unwrap();
    fleet.plane.until_online(FLEET, GATEWAYS + 1, PATIENCE).await;
    push_to_all(fleet, "0.3.0", names).await;
}

/// In sync already: they come back, and nothing is offered, sent or activated again.
async fn all_return(fleet: &mut Fleet) {
    let events = fleet.plane.events(v1::EventFilter::default()).await.len();
    let sent = sent_so_far();
    fleet.plane.stop().await;
    fleet.plane.start_again().await;
    let gateways = fleet.plane.until_online(FLEET, GATEWAYS, PATIENCE).await;
    let in_sync = gateways.iter().filter(|gateway| gateway.in_sync).count();
    assert_eq!(in_sync, GATEWAYS);
    assert_eq!(sent_so_far(), sent, "offers and bytes");
    let after = fleet.plane.events(v1::EventFilter::default()).await;
    assert!(after.iter().skip(events).all(|event| event.kind != "activation"), "{:?}", after.last());
    eprintln!("{GATEWAYS} gateways returned: no offer, no byte of a pack");
}

/// One push; answers its rollout, and what it cost until all of these were active and that was recorded. The test looks into the
/// gateways until then, for a look at the control plane costs statements of its own.
async fn push_to_all(fleet: &Fleet, version: &str, names: &[String]) -> (String, statements::Statements) {
    let mut push = push_request(FLEET, &fleet.provider.pack(version, CHAIN));
    push.rollout.as_mut().unwrap().strategy = None;
    statements::begin();
    let began = std::time::Instant::now();
    let pushed = fleet.plane.configs().push_config(push).await.unwrap().into_inner();
    eventually("every gateway is active, and told so", PATIENCE, async || {
        let behind = names.iter().find(|name| {
            let serves = fleet.policy(name).is_some_and(|policy| policy.version.to_string() == version);
            !serves || fleet.record(name).unconfirmed.is_some()
        });
        behind.map_or(Ok(()), Err)
    })
    .await;
    let (took, cost) = (began.elapsed(), statements::so_far());
    let rollout = pushed.rollout.unwrap().id;
    let counts = fleet.plane.rollout(&rollout).await.counts.unwrap_or_default();
    assert_eq!(usize::try_from(counts.active), Ok(names.len()), "{counts:?}");
    eprintln!(
        "{version}: {} statements for {} gateways in {took:.1?}, the commonest {} times",
        cost.total(),
        names.len(),
        cost.most()
    );
    (rollout, cost)
}

/// The next push may follow while the rollout bakes, which begins a moment after the plane heard of the last gateway.
async fn until_baking(fleet: &Fleet, rollout: &str) {
    eventually("the rollout bakes", PATIENCE, async || {
        let rollout = fleet.plane.rollout(rollout).await;
        let open = rollout.waves.iter().find(|wave| !matches!(wave.state.as_str(), "baking" | "passed"));
        open.map_or(Ok(()), |wave| Err(wave.clone()))
    })
    .await;
}

/// Offers, and bytes of packs, over all control planes of this process.
fn sent_so_far() -> (String, String) {
    let rendered = control_plane::metrics::recorder().expect("ours").render();
    let value = |name: &str| {
        let line = rendered.lines().find(|line| line.starts_with(name));
        line.expect("it was counted").to_owned()
    };
    (value(control_plane::metrics::OFFERS), value(control_plane::metrics::PARCEL_BYTES))
}
