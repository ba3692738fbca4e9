//! Agents that come while the database is away, message by message: who is let in, what it is offered, and what the
//! database says of it later.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use policy_config::ConfigDigest;
use proto::v1;
use proto::v1::from_agent;
use proto::v1::to_agent::Message;
use tests::cut_link::{CutLink, Target};
use tests::eventually::eventually;
use tests::operator::{Bearer, pack};
use tests::plane::{PATIENCE, Plane};
use tonic::Code;

use crate::support::{Outage, until_away};
use tests::scripted_agent::{Agent, held, hello};

async fn fleet_of_one() -> (Plane, CutLink, Bearer) {
    let (plane, link) = Plane::start_cut_off(|_| {}).await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    (plane, link, credential)
}

async fn go(plane: &Plane, link: &CutLink) {
    Outage::Refused.begin(link);
    until_away(plane, true).await;
}

async fn come_back(plane: &Plane, link: &CutLink) {
    link.pass();
    until_away(plane, false).await;
}

fn returning(offer: &v1::Offer) -> v1::Hello {
    v1::Hello {
        lineage: offer.lineage.clone(),
        active: Some(held(offer)),
        highest_generation: offer.generation,
        staged: vec![offer.digest.clone()],
        ..hello()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_sync_gets_nothing_and_one_that_is_behind_all_it_needs() {
    let (mut plane, link, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    agent.ack(&offer).await;
    drop(agent);
    // A new start has sent nobody anything; it has what may be needed all the same.
    plane.stop().await;
    plane.start_again().await;
    let mut agent = Agent::attach(&plane, &credential, returning(&offer)).await;
    agent.hears_nothing().await;
    go(&plane, &link).await;
    drop(agent);

    let mut agent = Agent::attach(&plane, &credential, returning(&offer)).await;
    assert_eq!(agent.welcome.gateway, "prod/edge-1");
    agent.hears_nothing().await;
    drop(agent);

    // Its disk was wiped.
    let wiped = v1::Hello { labels: [("disk".to_owned(), "new".to_owned())].into(), ..hello() };
    let mut agent = Agent::attach(&plane, &credential, wiped).await;
    let offered = agent.offered().await;
    assert_eq!((offered.offer.generation, &offered.offer.digest), (offer.generation, &offer.digest));
    assert_eq!(offered.source.as_deref(), Some(pack("0.1.0").as_str()));
    // Its answer waits for the database, and so does the confirmation.
    let report = agent.acked(&offered.offer);
    agent.say(from_agent::Message::Report(report)).await;
    agent.hears_nothing().await;

    link.pass();
    let confirmed = agent.confirmed().await;
    assert_eq!(confirmed.offer_id, offered.offer.offer_id);
    eventually("the late attach is recorded", PATIENCE, async || {
        let gateway = plane.find_gateway("prod", "edge-1").await.map_err(|status| status.to_string())?;
        let labelled = gateway.labels.get("disk").is_some_and(|disk| disk == "new");
        let there = gateway.liveness() == v1::Liveness::Online;
        if labelled && there && gateway.in_sync { Ok(()) } else { Err(format!("{gateway:?}")) }
    })
    .await;
    // The very same stream goes on.
    plane.push("prod", &pack("0.2.0")).await;
    assert!(agent.offered().await.offer.generation > offer.generation);
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_refused_is_not_offered_from_memory() {
    let (plane, link, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    let nack = agent.nacked(&offer, v1::Stage::Secrets, None);
    let Some(v1::report::Outcome::Nack(refusal)) = nack.outcome.clone() else { panic!("{nack:?}") };
    agent.report(nack).await;
    go(&plane, &link).await;
    drop(agent);

    let last_refused =
        v1::Attempt { generation: offer.generation, digest: offer.digest.clone(), refusal: Some(refusal) };
    let new_boot = v1::Hello {
        lineage: offer.lineage.clone(),
        highest_generation: offer.generation,
        last_refused: Some(last_refused),
        ..hello()
    };
    let mut agent = Agent::attach(&plane, &credential, new_boot).await;
    agent.hears_nothing().await;
    // The database knows that another start of the agent refused it, for want of a secret: worth another try.
    link.pass();
    let again = agent.offered().await.offer;
    assert_eq!((again.generation, again.digest), (offer.generation, offer.digest));
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_told_to_wait_and_not_that_it_is_one() {
    let (plane, link, _) = fleet_of_one().await;
    let call = async |letter: &str| {
        let stranger = Bearer(format!("kt_{}", letter.repeat(43)));
        let mut client =
            v1::delivery_service_client::DeliveryServiceClient::with_interceptor(plane.channel(), stranger);
        client.attach(tokio_stream::empty()).await.expect_err("nobody knows it")
    };
    assert_eq!(call("A").await.code(), Code::Unauthenticated);
    go(&plane, &link).await;
    crate::support::assert_away(&call("E").await);
    come_back(&plane, &link).await;
    assert_eq!(call("E").await.code(), Code::Unauthenticated);
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_was_replaced_is_refused_once_the_database_answers() {
    let (plane, link, credential) = fleet_of_one().await;
    let other = Plane::start_on(Arc::clone(&plane.database), &plane.database.url, |_| {}).await;
    let replaced_while_open = plane.enroll("prod", "edge-2").await;
    let agent = Agent::attach(&plane, &credential, hello()).await;
    let open = Agent::attach(&plane, &replaced_while_open, hello()).await;
    drop((agent, open));
    for name in ["edge-1", "edge-2"] {
        eventually("its stream is known to have ended", PATIENCE, async || {
            let gateway = plane.gateway("prod", name).await;
            if gateway.liveness() == v1::Liveness::Online { Err(gateway) } else { Ok(()) }
        })
        .await;
    }
    // This one is open before, the other opens while the database is away.
    let mut open = Agent::attach(&plane, &replaced_while_open, hello()).await;
    open.hears_nothing().await;
    go(&plane, &link).await;
    let newer = other.enroll("prod", "edge-1").await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let mut heir = Agent::attach(&other, &newer, hello()).await;
    sqlx::query("delete from tokens where gateway = (select id from gateways where name = 'edge-2')")
        .execute(&plane.database.pool)
        .await
        .unwrap();
    agent.hears_nothing().await;

    link.pass();
    assert_eq!(agent.end().await, Code::Unauthenticated);
    assert_eq!(open.end().await, Code::Unauthenticated);
    let mut client =
        v1::delivery_service_client::DeliveryServiceClient::with_interceptor(plane.channel(), credential);
    let refused = client.attach(tokio_stream::empty()).await.expect_err("it was replaced");
    assert_eq!(refused.code(), Code::Unauthenticated);
    // Whoever took the name over is not disturbed.
    assert!(tokio::time::timeout(Duration::from_millis(1), heir.hear()).await.is_err());
    eventually("the heir is the gateway", PATIENCE, async || {
        let gateway = other.gateway("prod", "edge-1").await;
        if gateway.liveness() == v1::Liveness::Online { Ok(()) } else { Err(gateway) }
    })
    .await;
    plane.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_let_in_from_memory_proves_itself_before_it_displaces_anybody() {
    let (plane, link, former) = fleet_of_one().await;
    let other = Plane::start_on(Arc::clone(&plane.database), &plane.database.url, |_| {}).await;
    drop(Agent::attach(&plane, &former, hello()).await);
    eventually("its stream is known to have ended", PATIENCE, async || {
        let gateway = plane.gateway("prod", "edge-1").await;
        if gateway.liveness() == v1::Liveness::Online { Err(gateway) } else { Ok(()) }
    })
    .await;
    let newer = other.enroll("prod", "edge-1").await;
    let mut heir = Agent::attach(&other, &newer, hello()).await;
    // Nobody told this replica. The old host calls while nobody can be asked, and keeps its Hello back.
    go(&plane, &link).await;
    let mut old_host = Agent::open(&plane, &former, None).await;
    come_back(&plane, &link).await;
    let late = v1::Hello { labels: [("host".to_owned(), "old".to_owned())].into(), ..hello() };
    old_host.say(from_agent::Message::Hello(late)).await;
    match old_host.hear().await {
        Err(status) => assert_eq!(status.code(), Code::Unauthenticated),
        Ok(heard) => panic!("expected the end, heard {heard:?}"),
    }
    let gateway = other.gateway("prod", "edge-1").await;
    assert!(gateway.labels.is_empty() && gateway.liveness() == v1::Liveness::Online, "{gateway:?}");
    plane.push("prod", &pack("0.1.0")).await;
    let offer = heir.offered().await.offer;
    heir.ack(&offer).await;
    plane.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_from_another_database_is_not_recorded_as_ours() {
    let (plane, link, credential) = fleet_of_one().await;
    drop(Agent::attach(&plane, &credential, hello()).await);
    go(&plane, &link).await;
    let foreign = v1::Held {
        generation: 7,
        digest: ConfigDigest::of(b"another database's").to_string(),
        version: "7.0.0".into(),
        age: Some(prost_types::Duration::default()),
    };
    let stranger = v1::Hello {
        lineage: uuid::Uuid::new_v4().to_string(),
        active: Some(foreign),
        highest_generation: 7,
        ..hello()
    };
    let mut agent = Agent::attach(&plane, &credential, stranger).await;
    come_back(&plane, &link).await;
    plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    // Reports are written in turn: this one is the last.
    agent.report(agent.nacked(&offer, v1::Stage::Secrets, None)).await;
    let gateway = plane.gateway("prod", "edge-1").await;
    assert_eq!(gateway.observed, None, "{gateway:?}");
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_a_full_disk_refuses_no_agent() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    agent.ack(&offer).await;
    drop(agent);
    // It answers, and every write fails as on a full disk.
    let full = "create function full_disk() returns trigger language plpgsql as
            $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
        create trigger full_disk before update on gateways for each row execute function full_disk()";
    sqlx::raw_sql(full).execute(&plane.database.pool).await.unwrap();
    let wiped = v1::Hello { labels: [("disk".to_owned(), "new".to_owned())].into(), ..hello() };
    let mut agent = Agent::attach(&plane, &credential, wiped).await;
    let offered = agent.offered().await;
    assert_eq!(offered.source.as_deref(), Some(pack("0.1.0").as_str()));
    sqlx::raw_sql("drop trigger full_disk on gateways").execute(&plane.database.pool).await.unwrap();
    agent.ack(&offered.offer).await;
    let gateway = plane.gateway("prod", "edge-1").await;
    assert!(gateway.labels.contains_key("disk") && gateway.in_sync, "{gateway:?}");
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_became_read_only_is_away() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    drop(Agent::attach(&plane, &credential, hello()).await);
    let mut admin = plane.database.pool.acquire().await.unwrap();
    let name = plane.database.options.get_database().unwrap().to_owned();
    // As when a primary becomes a standby: its connections end, and the new ones take no writes.
    let read_only = format!("alter database \"{name}\" set default_transaction_read_only = on");
    let ended = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()"
        .to_owned();
    for statement in [read_only, ended] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *admin).await.unwrap();
    }
    until_away(&plane, true).await;
    let labelled = v1::Hello { labels: [("disk".to_owned(), "new".to_owned())].into(), ..hello() };
    let mut agent = Agent::attach(&plane, &credential, labelled).await;
    agent.hears_nothing().await;
    let back = format!("alter database \"{name}\" reset default_transaction_read_only");
    sqlx::raw_sql(sqlx::AssertSqlSafe(back)).execute(&mut *admin).await.unwrap();
    until_away(&plane, false).await;
    eventually("the late attach is recorded", PATIENCE, async || {
        let gateway = plane.gateway("prod", "edge-1").await;
        if gateway.labels.contains_key("disk") { Ok(()) } else { Err(gateway) }
    })
    .await;
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_read_is_settled_all_the_same() {
    let (plane, link, credential) = fleet_of_one().await;
    let large = pack("0.1.0") + &"# a remark that makes it larger than what may be under way\n".repeat(3_000);
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    plane.push("prod", &large).await;
    let offer = agent.offered().await.offer;
    let mut repeated = agent.nacked(&offer, v1::Stage::Secrets, None);
    drop(agent);
    go(&plane, &link).await;

    // Beyond 64 KiB the server waits for the agent, which has much to say and hears nothing.
    let to_agent = CutLink::to(Target::Tcp(plane.url.trim_start_matches("http://").parse().unwrap())).await;
    let url = format!("http://{}", to_agent.address);
    let endpoint = tonic::transport::Endpoint::from_shared(url).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect_lazy();
    let mut client =
        v1::delivery_service_client::DeliveryServiceClient::with_interceptor(channel, credential);
    let (say, said) = tokio::sync::mpsc::channel(1);
    let labelled = v1::Hello { labels: [("reads".to_owned(), "nothing".to_owned())].into(), ..hello() };
    say.send(v1::FromAgent { message: Some(from_agent::Message::Hello(labelled)) }).await.unwrap();
    let unread = client.attach(tokio_stream::wrappers::ReceiverStream::new(said)).await.unwrap();
    // Of another lineage: confirmed at once.
    repeated.lineage = uuid::Uuid::new_v4().to_string();
    let Some(v1::report::Outcome::Nack(refusal)) = &mut repeated.outcome else { panic!("{repeated:?}") };
    refusal.findings[0].message = "m".repeat(900);
    refusal.findings = vec![refusal.findings[0].clone(); 6];
    let mut heard = 0;
    let unheard = Duration::from_millis(400);
    let report = v1::FromAgent { message: Some(from_agent::Message::Report(repeated)) };
    while tokio::time::timeout(unheard, say.send(report.clone())).await.is_ok_and(|said| said.is_ok()) {
        heard += 1;
        assert!(heard < 150, "it is heard although it does not read");
    }
    assert!(!say.is_closed(), "the stream is open");
    link.pass();
    eventually("the late attach is recorded", PATIENCE, async || {
        let gateway = plane.find_gateway("prod", "edge-1").await.map_err(|status| status.to_string())?;
        if gateway.labels.contains_key("reads") { Ok(()) } else { Err(format!("{gateway:?}")) }
    })
    .await;
    to_agent.cut();
    drop(unread);
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_hung_up_while_it_waited_its_turn_does_not_attach() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let waiting = plane.enroll("prod", "waiting").await;
    let last = plane.enroll("prod", "last").await;
    let mut credentials = Vec::new();
    for number in 1..=3 {
        credentials.push(plane.enroll("prod", &format!("edge-{number}")).await);
    }
    // Whoever attaches at a time is kept waiting for its row.
    let mut lock = plane.database.pool.begin().await.unwrap();
    sqlx::query("select id from gateways where name like 'edge-%' for update")
        .fetch_all(&mut *lock)
        .await
        .unwrap();
    let mut agents = Vec::new();
    for credential in &credentials {
        agents.push(Agent::open(&plane, credential, Some(from_agent::Message::Hello(hello()))).await);
    }
    eventually("three attach", PATIENCE, async || {
        let blocked = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        let blocked: i64 = sqlx::query_scalar(blocked).fetch_one(&plane.database.pool).await.unwrap();
        if blocked == 3 { Ok(()) } else { Err(blocked) }
    })
    .await;
    let labelled = v1::Hello { labels: [("late".to_owned(), "yes".to_owned())].into(), ..hello() };
    let mut fourth = Agent::open(&plane, &waiting, Some(from_agent::Message::Hello(labelled))).await;
    fourth.hears_nothing().await;
    drop(fourth);
    agents[0].hears_nothing().await;
    lock.rollback().await.unwrap();
    // Turns are in the order of coming.
    drop(Agent::attach(&plane, &last, hello()).await);
    for agent in &mut agents {
        let heard = agent.hear().await;
        assert!(matches!(heard, Ok(Some(Message::Welcome(_)))), "{heard:?}");
    }
    let gateway = plane.gateway("prod", "waiting").await;
    assert!(gateway.labels.is_empty(), "{gateway:?}");
    plane.end().await;
}
