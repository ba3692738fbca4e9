//! `reload`: requests while packs are swapped against requests while none is, in turns within one run: 50 connections
//! and 20 long streams; how long a reload takes to be answered, activation included.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::bail;
use http_body_util::BodyExt;
use instance::documents::routes;
use serde_json::{Value, json};

use crate::client::Client;
use crate::figures::{percentile, shown};
use crate::gateway::Gateway;
use crate::say;

const CONNECTIONS: usize = 50;
const STREAMS: usize = 20;
const ROUNDS: u64 = 3;
/// Of reloads in the busy half of a round.
const PAUSE: Duration = Duration::from_millis(200);

/// What the clients saw.
#[derive(Default)]
struct Seen {
    swapping: AtomicBool,
    failed: AtomicUsize,
    streams_cut: AtomicUsize,
    streams_whole: AtomicUsize,
    quiet: Mutex<Vec<Duration>>,
    busy: Mutex<Vec<Duration>>,
}

pub(crate) async fn run(seconds: u64) -> anyhow::Result<()> {
    let gateway = Gateway::start().await?;
    let seen = Arc::new(Seen::default());
    for _ in 0..CONNECTIONS {
        let client = Client::to_port(gateway.address, &gateway.tasks).await?;
        gateway.tasks.spawn("client", ask(client, Arc::clone(&seen)));
    }
    for _ in 0..STREAMS {
        let client = Client::to_port(gateway.address, &gateway.tasks).await?;
        gateway.tasks.spawn("stream", read_streams(client, Arc::clone(&seen)));
    }
    let mut took = Vec::new();
    let mut number = 0_u64;
    for _ in 0..ROUNDS {
        seen.swapping.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        seen.swapping.store(true, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            number += 1;
            let order = gateway.write(&format!("0.1.{number}"))?;
            // As `kt` does it, each order on a connection of its own.
            let began = Instant::now();
            gateway.door().await?.ask(routes::RELOAD, Some(&order)).await?;
            took.push(began.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
    }
    let (mut quiet, mut busy) = (taken(&seen.quiet), taken(&seen.busy));
    quiet.sort();
    busy.sort();
    let p99 = |sorted: &[Duration]| percentile(sorted, 0.99).as_secs_f64() * 1e3;
    say(&format!("{CONNECTIONS} connections, {STREAMS} streams, {number} reloads, {ROUNDS} rounds"));
    say(&format!("quiet     {}", shown(quiet.clone())));
    say(&format!("swapping  {}", shown(busy.clone())));
    say(&format!("p99 while swapping / p99 before: {:.2}", p99(&busy) / p99(&quiet)));
    say(&format!("reload answered under load: {}", shown(took)));
    say(&format!(
        "failed requests: {}; streams cut: {} of {}",
        seen.failed.load(Ordering::SeqCst),
        seen.streams_cut.load(Ordering::SeqCst),
        seen.streams_whole.load(Ordering::SeqCst) + seen.streams_cut.load(Ordering::SeqCst)
    ));
    Ok(())
}

async fn ask(mut client: Client, seen: Arc<Seen>) {
    let chat = chat(json!({}));
    loop {
        let began = Instant::now();
        let answered = client.ask("/v1/chat/completions", Some(&chat)).await;
        let took = began.elapsed();
        if answered.is_err() {
            seen.failed.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let kept = if seen.swapping.load(Ordering::SeqCst) { &seen.busy } else { &seen.quiet };
        if let Ok(mut kept) = kept.lock() {
            kept.push(took);
        }
        // wrk without a rate would measure the queue of a full machine: a little air leaves the swap to be seen.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn read_streams(mut client: Client, seen: Arc<Seen>) {
    while let Ok(()) = one_stream(&mut client).await {
        seen.streams_whole.fetch_add(1, Ordering::SeqCst);
    }
    seen.streams_cut.fetch_add(1, Ordering::SeqCst);
}

async fn one_stream(client: &mut Client) -> anyhow::Result<()> {
    let story = chat(json!({"chunks": 100, "chunk_delay_ms": 50}));
    let body =
        client.open("/v1/chat/completions", Some(&story)).await?.into_body().collect().await?.to_bytes();
    if !body.ends_with(b"data: [DONE]\n\n") {
        bail!("a torn stream");
    }
    Ok(())
}

/// A chat, streamed where a pace is given.
fn chat(pace: Value) -> Value {
    let stream = pace.as_object().is_some_and(|pace| !pace.is_empty());
    let messages = json!([{"role": "user", "content": "tell me a story about a fish and a bicycle"}]);
    json!({"model": "gpt-5.4-mini-mini", "stream": stream, "messages": messages, "x_fake": pace})
}

fn taken(kept: &Mutex<Vec<Duration>>) -> Vec<Duration> {
    kept.lock().map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default()
}
