//! Outages, load, and what a refusal says.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::v1;
use service_kit::drain::{self, DrainTrigger};
use tests::cut_link::{CutLink, Stalled};
use tests::eventually::eventually;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::http::{Http, chat};
use tests::operator::Operator;
use tests::plane::{PATIENCE, Plane};
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How the database can be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// As when it is stopped: connections are reset and refused.
    Refused,
    /// As when it is frozen or the network is a black hole: nothing moves, nobody is told.
    Silent,
    /// It hears everything, and no answer arrives.
    Mute,
}

impl Outage {
    pub const ALL: [Self; 3] = [Self::Refused, Self::Silent, Self::Mute];

    pub fn begin(self, link: &CutLink) {
        match self {
            Self::Refused => link.cut(),
            Self::Silent => link.stall(Stalled::Both),
            Self::Mute => link.stall(Stalled::Answers),
        }
    }
}

/// Asks a gateway without a pause; no request may fail.
pub struct Load {
    stop: Arc<AtomicBool>,
    asked: JoinHandle<u64>,
    _trigger: DrainTrigger,
}

impl Load {
    pub fn on(url: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (trigger, tasks) = drain::channel();
        let asked = tasks.spawn("load", ask(url, stop.clone()));
        Self { stop, asked, _trigger: trigger }
    }

    /// Ends it; answers how many were served.
    pub async fn served(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.asked.await.expect("no request was lost")
    }
}

async fn ask(url: String, stop: Arc<AtomicBool>) -> u64 {
    let (http, body) = (Http::new(), chat("hello"));
    let mut served = 0;
    while !stop.load(Ordering::SeqCst) {
        let answer = http.post(&url, &body).await.expect("no request fails");
        assert_eq!(answer.status, 200, "{}", answer.text());
        served += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    served
}

/// Waits until the control plane says that its database is away, or there.
pub async fn until_away(plane: &Plane, away: bool) {
    let (http, url) = (Http::new(), format!("{}/readyz", plane.admin_url));
    eventually(&format!("its database is away: {away}"), PATIENCE, async || {
        let answer = http.get(&url).await.map_err(|error| error.to_string())?;
        if (answer.status == 503) == away { Ok(()) } else { Err(answer.status.to_string()) }
    })
    .await;
}

/// Waits until every gateway has its stream and runs what it should.
pub async fn until_in_sync(plane: &Operator, names: &[&str], version: &str) {
    for name in names {
        eventually(&format!("{name} is in sync"), PATIENCE, async || {
            let gateway = plane.find_gateway(FLEET, name).await.map_err(|status| status.to_string())?;
            let runs = gateway.observed.as_ref().map(|observed| observed.version.as_str());
            let there = gateway.liveness() == v1::Liveness::Online;
            if there && gateway.in_sync && runs == Some(version) {
                Ok(())
            } else {
                Err(format!("{gateway:?}"))
            }
        })
        .await;
    }
}

/// Pushes as soon as that can be done, with one key for all tries; then waits until these gateways serve it.
pub async fn push_until_served(fleet: &Fleet, version: &str, names: &[&str]) {
    let mut push = tests::operator::push_request(FLEET, &fleet.provider.pack(version, CHAIN));
    push.idempotency_key = format!("push-{version}");
    eventually("the push is taken", PATIENCE, async || {
        fleet.plane.configs().push_config(push.clone()).await.map_err(|status| status.to_string())
    })
    .await;
    for name in names {
        fleet.until_serves(name, version).await;
    }
}

/// Fails unless this is the refusal of an order or a read for want of the database.
pub fn assert_away(status: &Status) {
    let details = status.get_error_details();
    let info = details.error_info().expect("a reason");
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (Code::Unavailable, "database_unavailable"),
        "{status:?}"
    );
    let since = info.metadata.get("since").expect("since when");
    assert!(status.message().contains(since.as_str()), "{}", status.message());
    let hint = &details.help().expect("a hint").links[0].description;
    assert!(!hint.is_empty());
}
