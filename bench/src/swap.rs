//! What a reload does to requests under way: ours and nginx's, each once alone and ten times in three seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use instance::documents::routes;
use service_kit::drain::DrainWatcher;
use tokio::sync::watch;

use crate::gateway::Gateway;
use crate::line::request;
use crate::nginx::Nginx;
use crate::say;
use crate::wire::Wire;

const CLIENTS: usize = 32;
const RELOADS: u32 = 10;
const EVERY: Duration = Duration::from_millis(300);

/// What the clients of one subject saw.
struct Seen {
    over: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    /// The newest version that an answer named.
    newest: watch::Sender<u64>,
}

pub(crate) async fn run(
    gateway: &Gateway,
    nginx: Option<&Nginx>,
    tasks: &DrainWatcher,
) -> anyhow::Result<()> {
    say(
        "\nten reloads in three seconds under load: failed requests, and how long until answers name the new one",
    );
    if let Some(nginx) = nginx {
        let (seen, clients) = load(nginx.address, "x-version: ", tasks);
        let mut took = Vec::new();
        for number in 1..=RELOADS {
            let began = Instant::now();
            nginx.reload(&number.to_string())?;
            took.push(until_named(&seen, number.into(), began).await?);
            tokio::time::sleep_until((began + EVERY).into()).await;
        }
        finish("nginx", &seen, clients, took).await;
    }
    let (seen, clients) = load(gateway.address, "x-kt-config-version: 0.2.", tasks);
    let (mut took, mut answered) = (Vec::new(), Vec::new());
    for number in 1..=RELOADS {
        let order = gateway.write(&format!("0.2.{number}"))?;
        let mut door = gateway.door().await?;
        let began = Instant::now();
        door.ask(routes::RELOAD, Some(&order)).await?;
        answered.push(began.elapsed());
        took.push(until_named(&seen, number.into(), began).await?);
        tokio::time::sleep_until((began + EVERY).into()).await;
    }
    finish("kt-gateway", &seen, clients, took).await;
    answered.sort();
    say(&format!("kt-gateway: reload answered, and so active, {}", crate::figures::shown(answered)));
    Ok(())
}

fn load(
    address: SocketAddr,
    header: &'static str,
    tasks: &DrainWatcher,
) -> (Arc<Seen>, Vec<tokio::task::JoinHandle<()>>) {
    let seen = Arc::new(Seen {
        over: AtomicBool::new(false),
        answered: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        newest: watch::Sender::new(0),
    });
    let clients = (0..CLIENTS).map(|_| {
        let seen = Arc::clone(&seen);
        tasks.spawn("client", async move { ask(address, header, &seen).await })
    });
    let clients = clients.collect();
    (seen, clients)
}

async fn ask(address: SocketAddr, header: &str, seen: &Seen) {
    let request = request(false, 73);
    let mut wire = None;
    while !seen.over.load(Ordering::Relaxed) {
        let mut open = match wire.take() {
            Some(open) => open,
            None => match Wire::connect(address).await {
                Ok(open) => open,
                Err(_) => {
                    seen.failed.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            },
        };
        match open.head(&request).await {
            Ok(head) => {
                seen.answered.fetch_add(1, Ordering::Relaxed);
                let named = head.split(header).nth(1).and_then(|rest| rest.split("\r\n").next());
                if let Some(version) = named.and_then(|version| version.parse::<u64>().ok()) {
                    seen.newest.send_if_modified(|newest| {
                        let is_newer = version > *newest;
                        *newest = version.max(*newest);
                        is_newer
                    });
                }
                // A server that says goodbye is asked on another connection.
                wire = (!head.contains("connection: close")).then_some(open);
            }
            Err(_) => {
                seen.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn until_named(seen: &Seen, version: u64, began: Instant) -> anyhow::Result<Duration> {
    let mut newest = seen.newest.subscribe();
    let named = newest.wait_for(|newest| *newest >= version);
    tokio::time::timeout(Duration::from_secs(10), named).await.context("the new version does not come")??;
    Ok(began.elapsed())
}

async fn finish(name: &str, seen: &Seen, clients: Vec<tokio::task::JoinHandle<()>>, took: Vec<Duration>) {
    seen.over.store(true, Ordering::Relaxed);
    for client in clients {
        let _ = client.await;
    }
    say(&format!(
        "{name:<12} failed {} of {}; named after {}",
        seen.failed.load(Ordering::Relaxed),
        seen.answered.load(Ordering::Relaxed),
        crate::figures::shown(took)
    ));
}
