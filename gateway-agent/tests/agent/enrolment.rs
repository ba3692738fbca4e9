//! Who the gateway is: enrolled once, known again, forgotten and taken in anew, refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fleet_core::ids::Lineage;
use gateway_agent::app::gateway::Gateway;
use gateway_agent::control::identity::TokenFile;
use gateway_agent::settings::{Settings, Source};
use service_kit::clock::Clock;
use tonic::Code;
use uuid::Uuid;

use crate::scripted_control_plane::ScriptedControlPlane;
use crate::support::{eventually, managed, pack, start, version};

const LINEAGE: Lineage = Lineage(Uuid::from_u128(1));

fn with_token(mut settings: Settings, token: TokenFile) -> Settings {
    if let Source::ControlPlane(source) = &mut settings.source {
        source.operator_token = token;
    }
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn it_enrols_once_and_keeps_its_own_credential() {
    let home = tempfile::tempdir().unwrap();
    let mut control_plane = ScriptedControlPlane::start().await;
    let gateway = start(managed(&home, &control_plane.url)).await;
    let agent = control_plane.attached().await;
    assert_eq!(agent.authorization, "Bearer kt_credential_1");
    assert_eq!(agent.hello.labels.iter().collect::<Vec<_>>(), [("region", "eu")]);
    gateway.stop().await.unwrap();
    let enrolments = control_plane.enrolments();
    assert_eq!(enrolments[0].0, "Bearer kt_operator");
    assert_eq!((enrolments[0].1.fleet.as_str(), enrolments[0].1.name.as_str()), ("prod", "edge-1"));
    let credential = home.path().join("gateways/edge-1/credential.json");
    assert_eq!(fs::metadata(&credential).unwrap().permissions().mode() & 0o777, 0o600);

    // The operator's token is not needed a second time.
    fs::remove_file(home.path().join("operator.token")).unwrap();
    let token = TokenFile::Named(home.path().join("operator.token"));
    let settings = with_token(managed(&home, &control_plane.url), token);
    fs::remove_file(home.path().join("operator.token")).unwrap();
    let gateway = start(settings).await;
    control_plane.attached().await;
    assert_eq!(control_plane.enrolments().len(), 1);
    gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_by_the_control_plane_it_enrols_anew() {
    let home = tempfile::tempdir().unwrap();
    let mut control_plane = ScriptedControlPlane::start().await;
    let gateway = start(managed(&home, &control_plane.url)).await;
    let mut agent = control_plane.attached().await;
    agent.welcome(LINEAGE).await;
    let offer = agent.offer(LINEAGE, 1, &pack("0.1.0")).await;
    agent.settle(offer).await;
    control_plane.forget_credentials();
    drop(agent);
    let agent = control_plane.attached().await;
    assert_eq!(agent.authorization, "Bearer kt_credential_2");
    assert_eq!(version(&gateway).as_deref(), Some("0.1.0"), "it served all the while");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_refusal_for_good_ends_a_gateway_that_has_nothing_to_serve() {
    for (code, exit_code) in [
        (Code::Unauthenticated, 4),
        (Code::PermissionDenied, 4),
        (Code::NotFound, 3),
        (Code::FailedPrecondition, 6),
    ] {
        let home = tempfile::tempdir().unwrap();
        let control_plane = ScriptedControlPlane::start().await;
        control_plane.refuse_enrolment(Some(code));
        let gateway = start(managed(&home, &control_plane.url)).await;
        let error = gateway.ended().await.unwrap_err();
        assert_eq!(error.exit_code(), exit_code, "{error}");
        assert!(error.to_string().contains("not today"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_may_pass_is_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let mut control_plane = ScriptedControlPlane::start().await;
    control_plane.refuse_enrolment(Some(Code::Unavailable));
    let gateway = start(managed(&home, &control_plane.url)).await;
    eventually("refused", || Some(()).filter(|()| control_plane.refusals() > 0).ok_or("not yet")).await;
    control_plane.refuse_enrolment(None);
    control_plane.attached().await;
    gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn which_of_the_three_is_wrong_with_the_token() {
    let home = tempfile::tempdir().unwrap();
    let control_plane = ScriptedControlPlane::start().await;
    let gone = home.path().join("gone.token");
    let settings = || managed(&home, &control_plane.url);

    let named = with_token(settings(), TokenFile::Named(gone.clone()));
    let error = Gateway::start(named, Clock::system()).await.err().unwrap();
    assert!(error.to_string().contains("KT_TOKEN_FILE names"), "{error}");
    assert_eq!(error.exit_code(), 4);
    assert!(!home.path().join("gateways").exists(), "nothing was created");

    let default = with_token(settings(), TokenFile::Default(gone.clone()));
    let error = start(default).await.ended().await.unwrap_err();
    assert!(error.to_string().contains("no token to enrol with"), "{error}");
    assert_eq!(error.exit_code(), 4);

    fs::write(&gone, "kt_operator").unwrap();
    fs::set_permissions(&gone, fs::Permissions::from_mode(0o644)).unwrap();
    let open = with_token(settings(), TokenFile::Named(gone.clone()));
    let error = Gateway::start(open, Clock::system()).await.err().unwrap();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    fs::set_permissions(&gone, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&gone, "\n").unwrap();
    let empty = with_token(settings(), TokenFile::Named(gone));
    let error = Gateway::start(empty, Clock::system()).await.err().unwrap();
    assert!(error.to_string().contains("holds no token"), "{error}");
}
