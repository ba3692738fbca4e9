//! The door of a whole gateway, both ways in: what it answers, and what the history tells of it afterwards.

use std::fmt;
use std::path::PathBuf;

use gateway_agent::app::gateway::Gateway;
use gateway_agent::settings::{Environment, Source};
use instance::documents::Status;
use instance::{Action, History, HistoryRecord, Outcome, Place};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::support::{PATIENCE, managed, pack, pack_with_key, settings, start};

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Socket,
    Port,
}

pub(crate) const WAYS: [Way; 2] = [Way::Socket, Way::Port];

/// A gateway that runs from `policy.yaml` of its working directory, and the keys to its door.
pub(crate) struct House {
    pub(crate) gateway: Gateway,
    pub(crate) place: Place,
    pub(crate) home: TempDir,
}

/// A whole answer, as it came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Without the status line, in the order they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

pub(crate) const SECRET: &str = "canary-of-a-secret";
const STATUS: &str = "/keeptrusts/config";
const RELOAD: &str = "/keeptrusts/config/reload";
const REVERT: &str = "/keeptrusts/config/revert";
const UNPIN: &str = "/keeptrusts/config/unpin";

impl House {
    pub(crate) async fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("policy.yaml"), pack("0.1.0")).unwrap();
        let mut settings = settings(home.path(), Source::File(home.path().join("policy.yaml")));
        settings.working_dir = home.path().canonicalize().unwrap();
        settings.environment = Environment::fixed([("LOCAL_API_KEY", SECRET)]);
        let place = settings.place();
        Self { gateway: start(settings).await, place, home }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let next = self.home.path().join(".next");
        std::fs::write(&next, bytes).unwrap();
        std::fs::rename(next, self.home.path().join(name)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.place.admin_token()).unwrap().trim_end().to_owned()
    }

    pub(crate) fn history(&self) -> Vec<HistoryRecord> {
        History::of(&self.place).read().unwrap().records
    }

    /// Sends this, head and body, and reads to the end of the connection.
    pub(crate) async fn says(&self, way: Way, request: &[u8]) -> Answer {
        let said = match way {
            Way::Socket => {
                exchange(UnixStream::connect(self.place.admin_socket()).await.unwrap(), request).await
            }
            Way::Port => exchange(TcpStream::connect(self.gateway.address()).await.unwrap(), request).await,
        };
        Answer::parse(&said)
    }

    /// What a script that knows the way sends.
    pub(crate) fn request(&self, way: Way, method: &str, path: &str, body: &str) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost:41002\r\nconnection: close\r\n");
        if way == Way::Port {
            head += &format!("authorization: Bearer {}\r\n", self.token());
        }
        if method == "POST" || !body.is_empty() {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        format!("{head}\r\n{body}").into_bytes()
    }

    pub(crate) async fn asks(&self, way: Way, method: &str, path: &str, body: &str) -> Answer {
        self.says(way, &self.request(way, method, path, body)).await
    }

    pub(crate) async fn status(&self, way: Way) -> Status {
        let answer = self.asks(way, "GET", STATUS, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) async fn reloads(&self, way: Way, config_path: &str) -> Answer {
        self.asks(way, "POST", RELOAD, &json!({ "config_path": config_path }).to_string()).await
    }

    pub(crate) async fn runs(&self) -> Option<String> {
        self.status(Way::Socket).await.observed?.version
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    let exchanging = async {
        // Whoever is sent away need not take it all.
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut said).await;
    };
    tokio::time::timeout(PATIENCE, exchanging).await.expect("an answer in time");
    said
}

impl Answer {
    pub(crate) fn parse(said: &[u8]) -> Self {
        let said = String::from_utf8_lossy(said);
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {said:?}"));
        let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {said:?}")),
            headers: headers.lines().map(header).collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    pub(crate) fn record(&self) -> HistoryRecord {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.body)
    }
}

#[tokio::test]
async fn both_doors_say_what_runs_and_what_a_reload_made_of_it() {
    let house = House::open().await;
    for (way, version) in WAYS.into_iter().zip(["0.2.0", "0.3.0"]) {
        let before = house.status(way).await;
        assert_eq!((before.name.as_str(), before.pid), ("edge-1", Some(std::process::id())), "{way:?}");
        assert!(before.ready && before.running && before.in_sync && !before.pinned, "{before:?}");
        assert_eq!(before.listen, Some(house.gateway.address().to_string()));

        house.write("policy.yaml", pack_with_key(version));
        let answer = house.reloads(way, "policy.yaml").await;
        let record = answer.record();
        assert_eq!((record.action, record.outcome), (Action::Reload, Outcome::Succeeded));
        assert_eq!(record.from, before.observed);
        assert_eq!(record.observed.as_ref().and_then(|now| now.version.as_deref()), Some(version));
        let actor = if way == Way::Port { "admin.token".to_owned() } else { gateway_agent::holding::user() };
        assert_eq!(record.actor, actor);
        for (name, wanted) in [("content-type", "application/json"), ("cache-control", "no-store")] {
            assert_eq!(answer.header(name), Some(wanted), "{answer:?}");
        }
        if way == Way::Port {
            assert_eq!(answer.header("x-kt-config-version"), Some(version), "what runs now");
        }
        let status = house.status(way).await;
        assert_eq!(status.observed, record.observed);
        let told = format!("{answer:?} {status:?}");
        assert!(!told.contains(SECRET) && !told.contains(&house.token()), "{told}");

        let again = house.reloads(way, "./policy.yaml").await.record();
        assert_eq!((again.outcome, again.observed), (Outcome::NoChange, record.observed));
        let head = house.asks(way, "HEAD", STATUS, "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{head:?}");
        assert_eq!(house.asks(way, "POST", UNPIN, "").await.json()["pinned"], false);
    }
}

#[tokio::test]
async fn both_doors_refuse_alike_and_nothing_changes() {
    let house = House::open().await;
    house.write("broken.yaml", "pack: [\n");
    house.write("wrong.yaml", b"pack: {}\nextra: 1\n");
    house.write("key.yaml", String::from_utf8(pack_with_key("0.9.0")).unwrap().replace("LOCAL", "OTHER"));
    let file = |name: &str| json!({ "config_path": name }).to_string();
    let long = json!({ "config_path": "policy.yaml", "reason": "x".repeat(1001) }).to_string();
    let large = json!({ "config_path": "x".repeat(65 * 1024) }).to_string();
    let table: Vec<(&str, &str, String, u16, &str)> = vec![
        // Before any load has failed: a revert would give that up.
        ("POST", REVERT, "{}".into(), 409, "nothing_to_revert"),
        ("POST", REVERT, String::new(), 409, "nothing_to_revert"),
        ("POST", RELOAD, file("broken.yaml"), 422, "invalid_pack"),
        ("POST", RELOAD, file("wrong.yaml"), 422, "invalid_pack"),
        ("POST", RELOAD, file("key.yaml"), 422, "activation_failed"),
        ("POST", RELOAD, file("gone.yaml"), 404, "file_not_found"),
        ("POST", RELOAD, file("/etc/passwd"), 400, "path_refused"),
        ("POST", RELOAD, String::new(), 400, "invalid_request"),
        ("POST", RELOAD, "{}".into(), 400, "invalid_request"),
        ("POST", RELOAD, "{".into(), 400, "invalid_request"),
        ("POST", RELOAD, "[]".into(), 400, "invalid_request"),
        ("POST", RELOAD, "null".into(), 400, "invalid_request"),
        ("POST", RELOAD, r#"{"config_path":1}"#.into(), 400, "invalid_request"),
        ("POST", RELOAD, r#"{"config_path":"\ud800"}"#.into(), 400, "invalid_request"),
        ("POST", RELOAD, r#"{"config_path":"a","config_path":"policy.yaml"}"#.into(), 400, "invalid_request"),
        ("POST", RELOAD, r#"{"config_path":"policy.yaml","force":true}"#.into(), 400, "invalid_request"),
        ("POST", RELOAD, r#"{"config_path":"policy.yaml"} {}"#.into(), 400, "invalid_request"),
        ("POST", RELOAD, "[".repeat(60_000), 400, "invalid_request"),
        ("POST", RELOAD, long, 400, "invalid_request"),
        ("POST", RELOAD, large, 413, "invalid_request"),
        ("POST", REVERT, r#"{"to":"0.0.1"}"#.into(), 400, "invalid_request"),
        ("POST", UNPIN, r#"{"name":"x"}"#.into(), 400, "invalid_request"),
        ("GET", RELOAD, String::new(), 405, "invalid_request"),
        ("HEAD", REVERT, String::new(), 405, ""),
        ("PUT", RELOAD, file("policy.yaml"), 405, "invalid_request"),
        ("DELETE", STATUS, String::new(), 405, "invalid_request"),
        ("OPTIONS", RELOAD, String::new(), 405, "invalid_request"),
        ("POST", STATUS, "{}".into(), 405, "invalid_request"),
    ];
    let before = house.status(Way::Socket).await;
    for (method, path, body, status, code) in &table {
        let answers = [
            house.asks(Way::Socket, method, path, body).await,
            house.asks(Way::Port, method, path, body).await,
        ];
        for answer in &answers {
            let what = format!("{method} {path} {:.80} {answer:?}", body);
            assert_eq!(answer.status, *status, "{what}");
            if !code.is_empty() {
                assert_eq!(answer.code(), *code, "{what}");
            }
            assert_eq!(answer.header("allow").is_some(), *status == 405, "{what}");
            assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{what}");
            assert!(!what.contains("root:") && !what.contains("panicked"), "{what}");
        }
        assert_eq!(answers[0].body, answers[1].body);
    }
    let lint = house.reloads(Way::Socket, "wrong.yaml").await.json();
    assert_eq!(lint["error"]["stage"], "lint", "{lint}");
    assert!(lint["error"]["findings"].as_array().is_some_and(|findings| findings.len() > 1), "{lint}");
    assert_eq!(lint["error"]["findings"][0]["line"].as_u64().map(|line| line > 0), Some(true), "{lint}");
    let secrets = house.reloads(Way::Port, "key.yaml").await.json();
    assert_eq!(secrets["error"]["stage"], "secrets", "{secrets}");
    assert!(secrets.to_string().contains("OTHER_API_KEY"), "{secrets}");
    let after = house.status(Way::Socket).await;
    assert_eq!((after.observed, after.good, after.ready), (before.observed, before.good, true));
}

#[tokio::test]
async fn what_never_came_to_the_activator_is_told_as_well() {
    let house = House::open().await;
    let running = house.status(Way::Socket).await.observed;
    for (way, path) in WAYS.into_iter().zip(["../policy.yaml", "gone\u{1b}.yaml"]) {
        let answer = house.reloads(way, path).await;
        let error = &answer.json()["error"];
        let message = error["message"].as_str().unwrap();
        let dir = house.home.path().canonicalize().unwrap();
        let dir = dir.display().to_string();
        assert!(message.contains(&dir) && error["hint"].as_str().unwrap().contains(&dir), "{answer:?}");
        let failed: Vec<_> =
            house.history().into_iter().filter(|record| record.outcome == Outcome::Failed).collect();
        let record = failed.last().unwrap();
        let actor = if way == Way::Port { "admin.token".to_owned() } else { gateway_agent::holding::user() };
        assert_eq!((record.action, &record.actor), (Action::Reload, &actor));
        assert_eq!((&record.from, &record.to, &record.observed), (&running, &None, &running));
        assert_eq!(record.reason.as_deref(), Some(message));
        assert!(!message.contains('\u{1b}'), "{message:?}");
    }
}

#[tokio::test]
async fn a_history_that_another_program_keeps_holds_no_reload_up() {
    let house = House::open().await;
    house.write("next.yaml", pack("0.2.0"));
    let kept = instance::lock::Lock::wait(&house.place.history().with_extension("lock")).unwrap();
    let answer = house.reloads(Way::Socket, "gone.yaml").await;
    assert_eq!(answer.code(), "file_not_found", "{answer:?}");
    assert_eq!(answer.json()["error"]["findings"][0]["code"], "H001", "{answer:?}");
    let record = house.reloads(Way::Socket, "next.yaml").await.record();
    assert_eq!((record.outcome, record.findings.len()), (Outcome::Succeeded, 1), "{record:?}");
    drop(kept);
}

#[tokio::test]
async fn a_managed_gateway_is_changed_here_only_by_breaking_the_glass_and_saying_why() {
    let home = tempfile::tempdir().unwrap();
    let settings = managed(&home, "http://127.0.0.1:9");
    let place = settings.place();
    let house = House { gateway: start(settings).await, place, home };
    house.write("policy.yaml", pack("0.1.0"));
    for way in WAYS {
        for body in [
            json!({ "config_path": "policy.yaml" }),
            json!({ "config_path": "policy.yaml", "reason": "because" }),
            json!({ "config_path": "policy.yaml", "break_glass": true }),
            json!({ "config_path": "policy.yaml", "break_glass": true, "reason": "  " }),
        ] {
            let answer = house.asks(way, "POST", RELOAD, &body.to_string()).await;
            assert_eq!((answer.status, answer.code().as_str()), (409, "managed"), "{body} {answer:?}");
        }
        let answer = house.asks(way, "POST", REVERT, "{}").await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "managed"), "{answer:?}");
        assert_eq!(house.history().last().map(|record| record.action), Some(Action::Revert));
        let status = house.status(way).await;
        assert_eq!((status.source, status.ready), (instance::documents::Source::ControlPlane, false));
    }
    assert_eq!(house.runs().await, None);
}

#[tokio::test]
async fn what_stands_in_the_way_of_the_door_costs_the_door_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("policy.yaml"), pack("0.1.0")).unwrap();
    let settings = settings(home.path(), Source::File(home.path().join("policy.yaml")));
    let place = settings.place();
    for path in [place.admin_socket(), place.admin_token()] {
        std::fs::create_dir_all(path.join("full")).unwrap();
    }
    let house = House { gateway: start(settings).await, place, home };
    let models =
        house.says(Way::Port, b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((models.status, models.header("x-kt-config-version")), (200, Some("0.1.0")));
    let shut = "GET /keeptrusts/config HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer \r\nconnection: close\r\n\r\n";
    assert_eq!(house.says(Way::Port, shut.as_bytes()).await.status, 404);
    house.gateway.stop().await.unwrap();
}
