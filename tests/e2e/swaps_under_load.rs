//! A thousand swaps under load: no request fails, no stream is torn, and every response carries one version that
//! was active between its arrival and its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Parser;
use gateway_agent::app::gateway::Gateway;
use gateway_agent::args::Args;
use gateway_agent::settings::{Environment, Settings};
use service_kit::clock::Clock;
use service_kit::drain;
use tests::fleet::{KEY, Provider};
use tests::http::{Http, chat, slow_stream};

const SWAPS: u64 = 1_000;
const CLIENTS: usize = 6;
const STREAMS: usize = 4;

/// Which swap is on its way and which is done; version `0.N.0` is swap N.
#[derive(Default)]
struct Progress {
    begun: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_fail_nobody() {
    let provider = Provider::start().await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("pack.yaml");
    write(&file, &provider, 0);
    let gateway = Gateway::start(settings(home.path(), &file), Clock::system()).await.unwrap();
    let url = format!("http://{}/v1/chat/completions", gateway.address());
    let progress = Arc::new(Progress::default());

    let (_trigger, tasks) = drain::channel();
    let load: Vec<_> = (0..CLIENTS + STREAMS)
        .map(|client| tasks.spawn("client", ask(url.clone(), client >= CLIENTS, Arc::clone(&progress))))
        .collect();
    for swap in 1..=SWAPS {
        write(&file, &provider, swap);
        progress.begun.store(swap, Ordering::SeqCst);
        gateway.reload().await.expect("it runs from a file").unwrap();
        progress.done.store(swap, Ordering::SeqCst);
    }
    progress.stop.store(true, Ordering::SeqCst);
    let mut served = 0;
    for client in load {
        served += client.await.expect("no client failed");
    }
    assert!(served > SWAPS / 10, "only {served} requests were served meanwhile");
    assert_eq!(gateway.policy().unwrap().version.to_string(), format!("0.{SWAPS}.0"));
    gateway.stop().await.unwrap();
}

/// Asks without a pause until it is over; answers how many requests were served.
async fn ask(url: String, streamed: bool, progress: Arc<Progress>) -> u64 {
    let http = Http::new();
    let body = if streamed { slow_stream("a story", 20, 5) } else { chat("hello") };
    let mut served = 0;
    while !progress.stop.load(Ordering::SeqCst) {
        let oldest = progress.done.load(Ordering::SeqCst);
        let flow = http.start(&url, &body).await.expect("no request fails");
        assert_eq!(flow.status, 200);
        let newest = progress.begun.load(Ordering::SeqCst);
        let version = flow.version().expect("a version").to_owned();
        let swap: u64 = version.split('.').nth(1).unwrap().parse().unwrap();
        assert!((oldest..=newest).contains(&swap), "{version} was not active from swap {oldest} to {newest}");
        let answer = flow.whole().await.expect("no stream is torn");
        if streamed {
            assert!(answer.text().contains("data: [DONE]"), "a torn stream: {}", answer.text());
        } else {
            assert!(answer.json().unwrap()["choices"].is_array());
        }
        served += 1;
    }
    served
}

fn write(file: &Path, provider: &Provider, swap: u64) {
    std::fs::write(file, provider.pack(&format!("0.{swap}.0"), "prompt-injection, audit-logger")).unwrap();
}

fn settings(home: &Path, file: &Path) -> Settings {
    let args = ["kt-gateway", "--listen", "127.0.0.1:0", "--policy-config", file.to_str().unwrap()];
    let environment =
        Environment::fixed([("KT_HOME", home.join("state").to_str().unwrap()), (KEY, "sk-test")]);
    Settings::from_args(Args::try_parse_from(args).unwrap(), environment).unwrap()
}
