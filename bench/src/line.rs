//! `gateway`: what a gateway with its policies on adds, beside a direct connection and nginx in front of the same
//! provider, in turns within one run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use service_kit::drain::{self, DrainWatcher};

use crate::figures::{Held, median, percentile, processor_time};
use crate::fixed::{FIRST_WORDS, Fixed};
use crate::gateway::{Gateway, Policies};
use crate::nginx::Nginx;
use crate::say;
use crate::wire::{Wire, post};

const CONNECTIONS: usize = 32;
/// Requests a second where latency is measured.
const PACE: u64 = 1_000;
const STREAMS: usize = 8;
const STREAMS_EACH: usize = 15;
const ROUNDS: usize = 5;
const LONG_PROMPT: usize = 32 * 1024;
pub(crate) const PATH: &str = "/v1/chat/completions";

/// What stands between client and provider, and what was measured of it.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    /// `None`: nothing stands there.
    pid: Option<u32>,
    rest_kib: u64,
    loaded_kib: u64,
    rounds: Vec<Round>,
}

/// Figures of one round; times in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    paced_p50: f64,
    paced_p99: f64,
    /// Requests a second at full load.
    throughput: f64,
    /// Processor µs a request at full load.
    cost: f64,
    /// The same with a long prompt.
    long_throughput: f64,
    long_cost: f64,
    first_words: f64,
}

pub(crate) async fn run(seconds: u64) -> anyhow::Result<()> {
    let provider = Fixed::start().await?;
    let gateway = Gateway::start_before(provider.address, Policies::All).await?;
    let bare = Gateway::start_before(provider.address, Policies::None).await?;
    let nginx = Nginx::start(provider.address)?;
    let (_trigger, tasks) = drain::channel();
    let mut subjects = vec![Subject::new("direct", provider.address, None)];
    match &nginx {
        Some(nginx) => subjects.push(Subject::new("nginx", nginx.address, Some(nginx.pid()))),
        None => say("nginx is not installed: no yardstick. `apt-get install nginx-light` brings it"),
    }
    subjects.push(Subject::new("kt-gateway", gateway.address, Some(gateway.pid())));
    subjects.push(Subject::new("no policies", bare.address, Some(bare.pid())));
    for subject in &mut subjects {
        subject.until_ready().await?;
        subject.rest_kib = subject.memory()?;
    }
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            let round = subject.measure(Duration::from_secs(seconds), &tasks).await?;
            subject.rounds.push(round);
            subject.loaded_kib = subject.loaded_kib.max(subject.memory()?);
        }
    }
    report(&subjects);
    say(&format!("provider: pid {} took its share of the machine as well", provider.pid()));
    crate::swap::run(&gateway, nginx.as_ref(), &tasks).await
}

// === impl Subject ===

impl Subject {
    fn new(name: &'static str, address: SocketAddr, pid: Option<u32>) -> Self {
        Self { name, address, pid, rest_kib: 0, loaded_kib: 0, rounds: Vec::new() }
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let asked = async { Wire::connect(self.address).await?.ask(&request(false, 73)).await };
            match asked.await {
                Ok(()) => return Ok(()),
                Err(error) if began.elapsed() > Duration::from_secs(10) => {
                    return Err(error.context(self.name));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Of the process and its children, KiB.
    fn memory(&self) -> anyhow::Result<u64> {
        let Some(pid) = self.pid else { return Ok(0) };
        let mut sum = Held::by(pid)?.rss_kib;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_whitespace() {
            sum += Held::by(child.parse()?)?.rss_kib;
        }
        Ok(sum)
    }

    async fn measure(&self, span: Duration, tasks: &DrainWatcher) -> anyhow::Result<Round> {
        let mut paced = self.paced(span, tasks).await?;
        paced.sort();
        let (throughput, cost) = self.full(span, &request(false, 73), tasks).await?;
        let (long_throughput, long_cost) = self.full(span, &request(false, LONG_PROMPT), tasks).await?;
        let mut first = self.first_words(tasks).await?;
        first.sort();
        Ok(Round {
            paced_p50: milliseconds(percentile(&paced, 0.5)),
            paced_p99: milliseconds(percentile(&paced, 0.99)),
            throughput,
            cost,
            long_throughput,
            long_cost,
            first_words: milliseconds(percentile(&first, 0.5)),
        })
    }

    /// `PACE` requests a second over all connections, each at its own moment.
    async fn paced(&self, span: Duration, tasks: &DrainWatcher) -> anyhow::Result<Vec<Duration>> {
        let every = Duration::from_secs(CONNECTIONS as u64) / u32::try_from(PACE)?;
        let began = tokio::time::Instant::now() + Duration::from_millis(20);
        let mut clients = Vec::new();
        for at in 0..CONNECTIONS {
            let address = self.address;
            let start = began + every * u32::try_from(at)? / u32::try_from(CONNECTIONS)?;
            clients.push(tasks.spawn("paced client", async move {
                let (mut wire, request) = (Wire::connect(address).await?, request(false, 73));
                let mut took = Vec::new();
                let mut next = start;
                while next < start + span {
                    tokio::time::sleep_until(next).await;
                    let sent = Instant::now();
                    wire.ask(&request).await?;
                    took.push(sent.elapsed());
                    next += every;
                }
                anyhow::Ok(took)
            }));
        }
        let mut all = Vec::new();
        for client in clients {
            all.append(&mut client.await??);
        }
        Ok(all)
    }

    /// As many requests as there is room for: how many a second, and what one costs the subject.
    async fn full(&self, span: Duration, request: &[u8], tasks: &DrainWatcher) -> anyhow::Result<(f64, f64)> {
        let (count, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let (count, over) = (Arc::clone(&count), Arc::clone(&over));
            let (address, request) = (self.address, request.to_vec());
            clients.push(tasks.spawn("busy client", async move {
                let mut wire = Wire::connect(address).await?;
                while !over.load(Ordering::Relaxed) {
                    wire.ask(&request).await?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            }));
        }
        tokio::time::sleep(span / 10).await;
        let used = self.pid.map(processor_time).transpose()?.unwrap_or_default();
        let (began, before) = (Instant::now(), count.load(Ordering::Relaxed));
        tokio::time::sleep(span).await;
        let (took, after) = (began.elapsed(), count.load(Ordering::Relaxed));
        let used = self.pid.map(processor_time).transpose()?.unwrap_or_default() - used;
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await??;
        }
        let requests = (after - before) as f64;
        Ok((requests / took.as_secs_f64(), used.as_secs_f64() * 1e6 / requests))
    }

    /// From a request for a stream to the first words of the model.
    async fn first_words(&self, tasks: &DrainWatcher) -> anyhow::Result<Vec<Duration>> {
        let clients = (0..STREAMS).map(|_| {
            let address = self.address;
            tasks.spawn("stream", async move {
                let (mut wire, request) = (Wire::connect(address).await?, request(true, 73));
                let mut took = Vec::new();
                for _ in 0..STREAMS_EACH {
                    took.push(wire.until(&request, FIRST_WORDS).await?);
                }
                anyhow::Ok(took)
            })
        });
        let mut all = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            all.append(&mut client.await??);
        }
        Ok(all)
    }

    fn middle(&self, of: fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }
}

/// A chat whose prompt has this many bytes.
pub(crate) fn request(stream: bool, prompt: usize) -> Vec<u8> {
    const PROSE: &str = "Tell me how the boats cross the lake in winter, and who pays for it, please. ";
    let prompt: String = PROSE.chars().cycle().take(prompt).collect();
    let messages = json!([{"role": "user", "content": prompt}]);
    post(PATH, &json!({"model": "gpt-5.4-mini-mini", "stream": stream, "messages": messages}).to_string())
}

fn report(subjects: &[Subject]) {
    say(&format!(
        "{CONNECTIONS} connections, medians of {ROUNDS} rounds; added = over direct, at {PACE} requests a second"
    ));
    say(
        "             added p50  added p99    req/s   µs/req  | 32 KiB: req/s  µs/req | first words, added | memory at rest, loaded",
    );
    let of = |name: &str, figure: fn(&Round) -> f64| {
        subjects.iter().find(|subject| subject.name == name).map(|subject| subject.middle(figure))
    };
    let direct = |figure: fn(&Round) -> f64| of("direct", figure).unwrap_or_default();
    for subject in subjects {
        say(&format!(
            "{:<12} {:>6.3} ms  {:>6.3} ms  {:>7.0}  {:>6.1}  | {:>13.0}  {:>6.1} | {:>15.3} ms | {:>5.1} MiB  {:>5.1} MiB",
            subject.name,
            subject.middle(|round| round.paced_p50) - direct(|round| round.paced_p50),
            subject.middle(|round| round.paced_p99) - direct(|round| round.paced_p99),
            subject.middle(|round| round.throughput),
            subject.middle(|round| round.cost),
            subject.middle(|round| round.long_throughput),
            subject.middle(|round| round.long_cost),
            subject.middle(|round| round.first_words) - direct(|round| round.first_words),
            subject.rest_kib as f64 / 1024.0,
            subject.loaded_kib as f64 / 1024.0,
        ));
    }
    say(&format!(
        "direct: p50 {:.3} ms, p99 {:.3} ms, first words {:.3} ms",
        direct(|round| round.paced_p50),
        direct(|round| round.paced_p99),
        direct(|round| round.first_words)
    ));
    let ratio = |figure: fn(&Round) -> f64| Some(of("kt-gateway", figure)? / of("nginx", figure)?);
    if let (Some(throughput), Some(cost)) = (ratio(|round| round.throughput), ratio(|round| round.cost)) {
        say(&format!("kt-gateway / nginx: throughput {throughput:.2}, processor a request {cost:.2}"));
    }
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
