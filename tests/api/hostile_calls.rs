//! Operators' calls that are wrong, and callers who are nobody: each gets a code of the contract with a reason,
//! nothing changes, and nobody else is locked out.

use std::time::{Duration, Instant};

use proto::v1;
use tests::eventually::eventually;
use tests::operator::{Bearer, pack, push_request};
use tests::plane::{PATIENCE, Plane};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::raw::{DATA, END_HEADERS, END_STREAM, HEADERS, PING, Raw, call, frame, message};
use crate::witness::Witness;
use tests::scripted_agent::{Agent, hello};

/// The code and the reason of a refusal.
fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (status.code(), reason)
}

#[tokio::test]
async fn a_push_on_what_is_not_the_head_names_the_head_and_changes_nothing() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let stored =
        |version: &str| v1::PushConfigRequest { rollout: None, ..push_request("prod", &pack(version)) };
    plane.configs().push_config(stored("0.1.0")).await.unwrap();
    plane.configs().push_config(stored("0.1.1")).await.unwrap();
    let stale = v1::PushConfigRequest { expect_revision: Some(1), ..stored("0.1.2") };
    let status = plane.configs().push_config(stale).await.unwrap_err();
    assert!(matches!(status.code(), Code::Aborted | Code::FailedPrecondition), "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata.get("found").map(String::as_str), Some("2"), "{info:?}");
    let revisions = v1::ListRevisionsRequest { config: "local-dev".into(), ..Default::default() };
    let revisions = plane.configs().list_revisions(revisions).await.unwrap().into_inner();
    assert_eq!(revisions.revisions.len(), 2);
    plane.end().await;
}

#[tokio::test]
async fn rollouts_of_nothing_to_nobody_and_over_another_are_refused() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    plane.create_fleet("empty").await;
    let credential = plane.enroll("prod", "edge-1").await;
    let _agent = Agent::attach(&plane, &credential, hello()).await;
    plane.push("prod", &pack("0.1.0")).await;
    let order = |fleet: &str, revision| v1::StartRolloutRequest {
        config: "local-dev".into(),
        revision,
        fleet: fleet.into(),
        ..Default::default()
    };
    let start = async |order| plane.rollouts().start_rollout(order).await;
    // One runs: its gateway has not answered.
    let another = plane.configs().push_config(push_request("prod", &pack("0.1.1"))).await;
    assert_eq!(told(another).0, Code::FailedPrecondition);
    assert_eq!(told(start(order("prod", 99)).await).0, Code::NotFound);
    assert_eq!(told(start(order("prod", u64::MAX)).await).0, Code::InvalidArgument);
    assert_eq!(told(start(order("nosuch", 1)).await).0, Code::NotFound);
    let nameless = v1::StartRolloutRequest { config: "../x".into(), ..order("prod", 1) };
    assert_eq!(told(start(nameless).await).0, Code::InvalidArgument);
    // Nobody is in it: it ends at once and says so, or is refused; it never hangs.
    match start(order("empty", 1)).await {
        Ok(rollout) => {
            let id = rollout.into_inner().id;
            eventually("a rollout to nobody ends", PATIENCE, || async {
                let rollout = plane.rollout(&id).await;
                if rollout.state() == v1::RolloutState::Succeeded { Ok(()) } else { Err(rollout) }
            })
            .await;
        }
        Err(status) => assert_eq!(status.code(), Code::FailedPrecondition),
    }
    plane.end().await;
}

#[tokio::test]
async fn fields_that_are_unset_or_absurd_are_named() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let field = |answer: Result<(), Status>| {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        status.get_details_bad_request().map(|bad| bad.field_violations[0].field.clone()).unwrap_or_default()
    };
    let unit = |answer: Result<tonic::Response<_>, Status>| answer.map(|_: tonic::Response<v1::Rollout>| ());
    let start = plane.rollouts().start_rollout(v1::StartRolloutRequest::default()).await;
    assert!(["config", "revision", "fleet"].contains(&field(unit(start)).as_str()));
    let get = plane.rollouts().get_rollout(v1::GetRolloutRequest { id: "\u{1b}[2J".into() }).await;
    assert_eq!(field(unit(get)), "id");
    let page = v1::ListEventsRequest { page_size: u32::MAX, ..Default::default() };
    assert_eq!(field(plane.history().list_events(page).await.map(drop)), "page_size");
    let cursor = v1::ListEventsRequest { after_cursor: u64::MAX, ..Default::default() };
    assert_eq!(field(plane.history().list_events(cursor).await.map(drop)), "after_cursor");
    let token = v1::ListFleetsRequest { page_token: "x".repeat(10_000), page_size: 1 };
    assert_eq!(field(plane.fleets().list_fleets(token).await.map(drop)), "page_token");
    let key =
        v1::PushConfigRequest { idempotency_key: "a\r\nb".into(), ..push_request("prod", &pack("0.1.0")) };
    assert_eq!(field(plane.configs().push_config(key).await.map(drop)), "idempotency_key");
    assert!(
        plane
            .configs()
            .list_configs(v1::ListConfigsRequest::default())
            .await
            .unwrap()
            .get_ref()
            .configs
            .is_empty()
    );
    plane.end().await;
}

#[tokio::test]
async fn notes_and_names_are_inert() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let note =
        |note: &str| v1::PushConfigRequest { note: note.into(), ..push_request("prod", &pack("0.1.0")) };
    for bad in ["\u{1b}[31mred", "two\r\nlines", "nul\0", &"x".repeat(100_000)] {
        assert_eq!(
            told(plane.configs().push_config(note(bad)).await).0,
            Code::InvalidArgument,
            "{}",
            bad.len()
        );
    }
    let megabyte = plane.configs().push_config(note(&"x".repeat(1024 * 1024))).await;
    assert_eq!(told(megabyte), (Code::ResourceExhausted, "message_too_large".into()));
    // What looks like markup is text, and comes back as it was.
    let html = "<script>alert(1)</script> '; drop table fleets; --";
    plane.configs().push_config(note(html)).await.unwrap();
    let events = plane.events(v1::EventFilter::default()).await;
    assert!(
        events.iter().any(|event| format!("{event:?}").contains("<script>alert(1)</script>")),
        "{events:?}"
    );
    for bad in ["", "../x", "a b", "<b>", "x\u{1b}", "PROD", &"x".repeat(10_000), "ä"] {
        let made = plane.fleets().create_fleet(v1::CreateFleetRequest { name: bad.into() }).await;
        let status = made.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad:.20}");
        assert!(!status.message().chars().any(char::is_control), "{status:?}");
    }
    plane.end().await;
}

fn with_authorization(values: &[MetadataValue<tonic::metadata::Ascii>]) -> Request<v1::ListFleetsRequest> {
    let mut request = Request::new(v1::ListFleetsRequest::default());
    for value in values {
        request.metadata_mut().append("authorization", value.clone());
    }
    request
}

/// One call of an operator's, with this `authorization` written as it is.
async fn list_as(channel: &Channel, values: &[MetadataValue<tonic::metadata::Ascii>]) -> (Code, String) {
    let mut client = v1::fleet_service_client::FleetServiceClient::new(channel.clone());
    match client.list_fleets(with_authorization(values)).await {
        Ok(_) => (Code::Ok, String::new()),
        refused => told(refused),
    }
}

#[tokio::test]
async fn an_authorization_is_one_bearer_token_of_somebody() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let agent = plane.enroll("prod", "edge-1").await;
    let text = |text: String| MetadataValue::try_from(text).unwrap();
    let good = text(format!("Bearer {}", plane.operator.0));
    let of_agent = text(format!("Bearer {}", agent.0));
    let guess = text(format!("Bearer kt_{}", "A".repeat(43)));
    let strange = MetadataValue::try_from(&b"Bearer kt_\xff\xfe"[..]).unwrap();
    let no = |reason: &str| (Code::Unauthenticated, reason.to_owned());
    let table = [
        (vec![], no("token_missing")),
        (vec![good.clone(), good.clone()], no("token_unreadable")),
        (vec![good.clone(), guess.clone()], no("token_unreadable")),
        (vec![guess.clone(), good.clone()], no("token_unreadable")),
        (vec![text(format!("bearer {}", plane.operator.0))], (Code::Ok, String::new())),
        (vec![text(format!("Basic {}", plane.operator.0))], no("token_unreadable")),
        (vec![text(format!("Bearer kt_{}", "A".repeat(12 * 1024)))], no("token_wrong")),
        (vec![strange], no("token_unreadable")),
        (vec![guess], no("token_wrong")),
        (vec![of_agent], (Code::PermissionDenied, "not_allowed".into())),
        (vec![good], (Code::Ok, String::new())),
    ];
    for (number, (values, expected)) in table.into_iter().enumerate() {
        assert_eq!(list_as(&plane.channel(), &values).await, expected, "{number}");
    }
    // More than the header list of a call may have: HTTP says so, and the connection goes on.
    let long = text(format!("Bearer kt_{}", "A".repeat(24 * 1024)));
    let mut client = v1::fleet_service_client::FleetServiceClient::new(plane.channel());
    let status = client.list_fleets(with_authorization(&[long])).await.unwrap_err();
    assert!(status.message().contains("HTTP status code 431"), "{status:?}");
    // More than anybody means: the connection ends, ENHANCE_YOUR_CALM.
    let huge = text(format!("Bearer kt_{}", "A".repeat(64 * 1024)));
    let status = client.list_fleets(with_authorization(&[huge])).await.unwrap_err();
    assert!(format!("{status:?}").contains("header_list_way_too_large"), "{status:?}");
    plane.create_fleet("still-there").await;
    plane.end().await;
}

/// Each is well formed: 32 bytes in base64.
fn guess(number: usize) -> Vec<MetadataValue<tonic::metadata::Ascii>> {
    vec![MetadataValue::try_from(format!("Bearer kt_{number:A<43}")).unwrap()]
}

/// How many of these were told that they are wrong, which only the database knows; everybody else came too often.
fn looked_up(answers: &[(Code, String)]) -> usize {
    let is_wrong = |told: &&(Code, String)| **told == (Code::Unauthenticated, "token_wrong".into());
    let looked_up = answers.iter().filter(is_wrong).count();
    let stopped = answers.iter().filter(|told| told.1 == "too_many_failures").count();
    assert_eq!(looked_up + stopped, answers.len(), "{answers:?}");
    looked_up
}

/// What one address may fail: so many at once and so many a second, and what is being looked up when that is over.
fn may_fail(took: Duration) -> usize {
    200 + (50.0 * took.as_secs_f64()) as usize + 2
}

#[tokio::test]
async fn who_guesses_credentials_is_stopped_and_nobody_else() {
    let plane = Plane::start().await;
    let mut witness = Witness::attach(&plane).await;
    plane.create_fleet("prod").await;
    let late = plane.enroll("prod", "late").await;
    let known = plane.enroll("prod", "known").await;
    let _known = Agent::attach(&plane, &known, hello()).await;
    let began = Instant::now();
    let channel = plane.channel();
    let guesses: Vec<_> = (0..1_000).map(guess).collect();
    let answers = guesses.iter().map(|values| list_as(&channel, values));
    let answers = futures_util::future::join_all(answers).await;
    let looked_up = looked_up(&answers);
    println!("of 1 000 guesses in {:?}, {looked_up} were looked up", began.elapsed());
    assert!(looked_up <= may_fail(began.elapsed()), "{looked_up}");
    // The operator, and an agent that was here before, come in while the guesser is kept out.
    plane.create_fleet("open").await;
    let _again = Agent::attach(&plane, &known, hello()).await;
    witness.is_served().await;
    // And one that was not here yet, as soon as the guesser pauses.
    eventually("an agent that is new here gets in", PATIENCE, || async {
        let mut client = v1::delivery_service_client::DeliveryServiceClient::with_interceptor(
            plane.channel(),
            late.clone(),
        );
        client.attach(tokio_stream::empty()).await.map(drop).map_err(|status| status.to_string())
    })
    .await;
    let metrics = tests::http::Http::new().get(&format!("{}/metrics", plane.admin_url)).await.unwrap().text();
    assert!(metrics.contains("kt_refused_total{limit=\"failed_credentials\"}"), "{metrics}");
    plane.end().await;
}

/// All of them at once, so that none has failed when the last one comes.
#[tokio::test]
async fn a_flood_of_guesses_is_not_looked_up_and_an_agent_gets_in() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let known = plane.enroll("prod", "known").await;
    drop(Agent::attach(&plane, &known, hello()).await);
    let channels: Vec<_> = (0..20).map(|_| plane.channel()).collect();
    let guesses: Vec<_> = (0..2_000).map(guess).collect();
    let began = Instant::now();
    let flood = guesses.iter().enumerate().map(|(number, values)| list_as(&channels[number % 20], values));
    let honest = async {
        let _again = Agent::attach(&plane, &known, hello()).await;
        began.elapsed()
    };
    let (answers, honest) = tokio::join!(futures_util::future::join_all(flood), honest);
    let took = began.elapsed();
    let looked_up = looked_up(&answers);
    println!("of 2 000 guesses in {took:?}, {looked_up} were looked up; the agent was in within {honest:?}");
    assert!(looked_up <= may_fail(took), "{looked_up} in {took:?}");
    plane.end().await;
}

#[tokio::test]
async fn a_guess_at_another_name_makes_no_credential_known() {
    let plane = Plane::start().await;
    let elsewhere = "http://evil.example".parse().unwrap();
    let elsewhere = Endpoint::from_shared(plane.url.clone()).unwrap().origin(elsewhere).connect_lazy();
    let guesses: Vec<_> = (0..1_000).map(guess).collect();
    let foreign = guesses.iter().map(|values| list_as(&elsewhere, values));
    for told in futures_util::future::join_all(foreign).await {
        assert_eq!(told, (Code::PermissionDenied, "foreign_authority".into()));
    }
    let began = Instant::now();
    let channel = plane.channel();
    let answers = guesses.iter().map(|values| list_as(&channel, values));
    let answers = futures_util::future::join_all(answers).await;
    let looked_up = looked_up(&answers);
    assert!(looked_up <= may_fail(began.elapsed()), "{looked_up}");
    plane.end().await;
}

#[tokio::test]
async fn one_wrong_credential_over_and_over_locks_out_nobody() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let replaced = plane.enroll("prod", "edge-1").await;
    let current = plane.enroll("prod", "edge-1").await;
    let other = plane.enroll("prod", "edge-2").await;
    let wrong = vec![MetadataValue::try_from(format!("Bearer {}", replaced.0)).unwrap()];
    let channel = plane.channel();
    for _ in 0..600 {
        assert_eq!(list_as(&channel, &wrong).await, (Code::Unauthenticated, "token_wrong".into()));
    }
    let _current = Agent::attach(&plane, &current, hello()).await;
    let _other = Agent::attach(&plane, &other, hello()).await;
    plane.end().await;
}

#[tokio::test]
async fn streams_of_operators_are_bounded_and_answers_go_on() {
    let plane = Plane::start().await;
    let mut witness = Witness::attach(&plane).await;
    // Of several connections: one has room for a hundred calls.
    let clients: Vec<_> = (0..4).map(|_| plane.history()).collect();
    let mut open = Vec::new();
    let refused = loop {
        let mut client = clients[open.len() % clients.len()].clone();
        match client.tail_events(v1::TailEventsRequest::default()).await {
            Ok(tail) => open.push(tail.into_inner()),
            Err(status) => break status,
        }
        assert!(open.len() < 300, "there is no bound");
    };
    let status = &refused;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "too_many_watches");
    assert!(status.get_details_retry_info().is_some());
    witness.is_served().await;
    open.pop();
    eventually("an end makes room", PATIENCE, || async {
        let tail = plane.history().tail_events(v1::TailEventsRequest::default()).await;
        tail.map(drop).map_err(|status| status.to_string())
    })
    .await;
    drop(open);
    plane.end().await;
}

/// Calls with an operator's token, whose message never comes, take no turn of those whose message is there.
#[tokio::test]
async fn calls_without_a_message_hold_up_nobody() {
    let plane = Plane::start().await;
    let mut raw = Raw::begin(&plane.url, &[]).await;
    for (number, id) in (1..100).step_by(2).enumerate() {
        let method = ["FleetService/ListFleets", "ConfigService/PushConfig"][number % 2];
        let block = call(&format!("/kt.fleet.v1.{method}"), Some(&plane.operator.0), &[]);
        raw.say(&frame(HEADERS, END_HEADERS, id, &block)).await;
    }
    // Answered behind them.
    raw.say(&frame(PING, 0, 0, &[7; 8])).await;
    assert!(raw.hear_of(PING, 0).await.is_some());
    plane.create_fleet("prod").await;
    plane.fleets().list_fleets(v1::ListFleetsRequest::default()).await.unwrap();
    // And each is answered when its message comes.
    raw.say(&frame(DATA, END_STREAM, 1, &message(&[]))).await;
    assert!(raw.hear_of(DATA, 1).await.is_some());
    drop(raw);
    plane.end().await;
}

#[tokio::test]
async fn what_is_no_grpc_is_answered_as_such() {
    let plane = Plane::start().await;
    let fleets = "/kt.fleet.v1.FleetService/ListFleets";
    for (path, more) in [
        ("/", vec![]),
        ("/nosuch.Service/Nothing", vec![]),
        ("/kt.fleet.v1.FleetService/../FleetService/ListFleets", vec![]),
        (fleets, vec![("grpc-encoding", "gzip")]),
    ] {
        let mut raw = Raw::begin(&plane.url, &[]).await;
        let block = call(path, Some(&plane.operator.0), &more);
        raw.say(&frame(HEADERS, END_HEADERS, 1, &block)).await;
        let mut body = message(&[0; 64]);
        body[0] = u8::from(!more.is_empty());
        raw.say(&frame(DATA, END_STREAM, 1, &body)).await;
        let answer = raw.hear_of(HEADERS, 1).await.expect("an answer");
        assert_eq!(answer.flags & END_STREAM, END_STREAM, "{path}: refused without a body");
    }
    plane.create_fleet("prod").await;
    plane.end().await;
}

/// A herd of gateways of one host: each with its own credential, all within a moment.
#[tokio::test]
async fn a_herd_of_one_host_gets_in() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let mut credentials: Vec<Bearer> = Vec::new();
    for number in 0..64 {
        credentials.push(plane.enroll("prod", &format!("edge-{number}")).await);
    }
    let began = Instant::now();
    let herd = credentials.iter().map(|credential| Agent::attach(&plane, credential, hello()));
    let agents = futures_util::future::join_all(herd).await;
    println!("{} streams were opened in {:?}", agents.len(), began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(15));
    plane.end().await;
}

/// Dashboards that ask all at once and again: gateways attach and get their pushes meanwhile, and whoever is refused
/// is told to come again.
#[tokio::test]
async fn a_crowd_of_operators_starves_no_gateway() {
    let plane = Plane::start().await;
    let mut witness = Witness::attach(&plane).await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    let clients: Vec<_> = (0..3).map(|_| plane.history()).collect();
    let over = std::sync::atomic::AtomicBool::new(false);
    let ask = async |number: usize| {
        let mut answered = 0;
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            let request = v1::ListEventsRequest { page_size: 100, ..Default::default() };
            match clients[number % clients.len()].clone().list_events(request).await {
                Ok(_) => answered += 1,
                Err(status) => {
                    let told = told::<()>(Err(status));
                    assert!(["busy", "too_fast"].contains(&told.1.as_str()), "{told:?}");
                }
            }
        }
        answered
    };
    let crowd = futures_util::future::join_all((0..200).map(ask));
    let gateways = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..2 {
            slowest = slowest.max(witness.is_served().await);
            drop(Agent::attach(&plane, &credential, hello()).await);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        slowest
    };
    let (answered, slowest) = tokio::join!(crowd, gateways);
    let answered: usize = answered.into_iter().sum();
    println!("a push took {slowest:?} at most beside {answered} answers");
    assert!(answered > 0);
    plane.end().await;
}
