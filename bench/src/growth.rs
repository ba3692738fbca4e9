//! `growth`: thousands of reloads of one process while it serves; memory, descriptors and threads are to stay flat.

use std::time::{Duration, Instant};

use instance::documents::routes;
use serde_json::json;

use crate::client::Client;
use crate::figures::{Held, shown, slope};
use crate::gateway::Gateway;
use crate::say;

/// How often it is looked at.
const LOOKS: u64 = 40;
/// What the first reloads take for good (pools, arenas) is not growth.
const WARM_UP: u64 = 4;
const CLIENTS: usize = 4;

pub(crate) async fn run(reloads: u64) -> anyhow::Result<()> {
    let gateway = Gateway::start().await?;
    let mut door = gateway.door().await?;
    let clients = (0..CLIENTS).map(|_| {
        let (address, tasks) = (gateway.address, gateway.tasks.clone());
        gateway
            .tasks
            .spawn("client", async move { keep_asking(Client::to_port(address, &tasks).await?).await })
    });
    let clients: Vec<_> = clients.collect();
    let every = (reloads / LOOKS).max(1);
    let (mut took, mut looks) = (Vec::new(), Vec::new());
    for number in 1..=reloads {
        let order = gateway.write(&format!("0.1.{number}"))?;
        let began = Instant::now();
        door.ask(routes::RELOAD, Some(&order)).await?;
        took.push(began.elapsed());
        if number % every == 0 {
            let held = Held::by(gateway.pid())?;
            looks.push((number, held));
            say(&format!(
                "{number:>7} reloads: rss {:>6} KiB, {} descriptors, {} threads",
                held.rss_kib, held.descriptors, held.threads
            ));
        }
    }
    let failed = clients.iter().filter(|client| client.is_finished()).count();
    let settled: Vec<_> = looks.iter().filter(|(number, _)| *number > every * WARM_UP).collect();
    let points: Vec<_> =
        settled.iter().map(|(number, held)| (*number as f64 / 1000.0, held.rss_kib as f64)).collect();
    let span = |of: fn(&Held) -> u64| {
        let all = settled.iter().map(|(_, held)| of(held));
        format!("{}..{}", all.clone().min().unwrap_or_default(), all.max().unwrap_or_default())
    };
    say(&format!("reload answered: {}", shown(took)));
    say(&format!(
        "after the warm-up: rss {} KiB, slope {:.1} KiB per 1000 reloads; descriptors {}; threads {}; clients that failed: {failed} of {CLIENTS}",
        span(|held| held.rss_kib),
        slope(&points),
        span(|held| held.descriptors as u64),
        span(|held| held.threads)
    ));
    Ok(())
}

/// Some traffic, so that retired packs are held by requests now and then. Ends only by an error.
async fn keep_asking(mut client: Client) -> anyhow::Result<()> {
    let chat = json!({"model": "gpt-5.4-mini-mini", "messages": [{"role": "user", "content": "hello"}]});
    loop {
        client.ask("/v1/chat/completions", Some(&chat)).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
