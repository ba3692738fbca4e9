//! Under load: reloads, reverts and restarts fail no request, cut no stream and reset no connection; a gateway that was
//! killed serves again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use service_kit::drain::{self, DrainTrigger};
use tests::eventually::eventually;
use tests::fleet::{CHAIN, Provider};
use tests::host::Host;
use tests::http::{Http, chat, slow_stream};
use tokio::task::JoinHandle;

/// Unary clients that keep their connection, those that make a new one each time, and long streams.
const KEPT: usize = 30;
const FRESH: usize = 20;
const STREAMS: usize = 20;

/// Clients that ask without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<(), String>>>,
    _trigger: DrainTrigger,
}

// === impl Load ===

impl Load {
    fn on(address: &str) -> Self {
        let (trigger, tasks) = drain::channel();
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let url = format!("http://{address}/v1/chat/completions");
        let client = |number: usize| {
            let (url, stop, served) = (url.clone(), Arc::clone(&stop), Arc::clone(&served));
            tasks.spawn("client", async move {
                let mut http = Http::new();
                while !stop.load(Ordering::SeqCst) {
                    if (KEPT..KEPT + FRESH).contains(&number) {
                        http = Http::new();
                    }
                    if number < KEPT + FRESH {
                        whole(&http, &url).await?;
                    } else {
                        stream(&http, &url).await?;
                    }
                    served.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            })
        };
        let clients = (0..KEPT + FRESH + STREAMS).map(client).collect();
        Self { stop, served, clients, _trigger: trigger }
    }

    /// Waits until so many more were served.
    async fn until_served(&self, more: u64) {
        let from = self.served.load(Ordering::SeqCst);
        eventually("clients are served", Duration::from_secs(30), async || {
            let served = self.served.load(Ordering::SeqCst) - from;
            if served >= more { Ok(()) } else { Err(served) }
        })
        .await;
    }

    /// How many were served; fails if one was not.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.expect("a client ends").unwrap();
        }
        self.served.load(Ordering::SeqCst)
    }
}

async fn whole(http: &Http, url: &str) -> Result<(), String> {
    let answer = http.post(url, &chat("hello")).await.map_err(|error| format!("{error:#}"))?;
    if answer.status == 200 { Ok(()) } else { Err(format!("{} {}", answer.status, answer.text())) }
}

async fn stream(http: &Http, url: &str) -> Result<(), String> {
    let flow = http.start(url, &slow_stream("a long story", 40, 50)).await;
    let answer = flow.map_err(|error| format!("{error:#}"))?.whole().await;
    let answer = answer.map_err(|error| format!("a stream was cut: {error:#}"))?;
    if answer.text().contains("data: [DONE]") {
        Ok(())
    } else {
        Err(format!("a torn stream: {}", answer.text()))
    }
}

async fn serving(provider: &Provider) -> (Host, String) {
    let host = Host::new();
    host.writes("policy-config.yaml", provider.pack("0.1.0", CHAIN));
    let address = host.serves("edge");
    (host, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_and_reverts_under_load_fail_nobody() {
    let provider = Provider::start().await;
    let (host, address) = serving(&provider).await;
    let load = Load::on(&address);
    load.until_served(100).await;
    for round in 1..=10 {
        host.writes("policy-config.yaml", provider.pack(&format!("0.2.{round}"), CHAIN));
        host.types("kt gateway reload --name edge --config-path policy-config.yaml").ok();
        load.until_served(20).await;
        if round % 5 == 0 {
            host.types("kt gateway revert --name edge").ok();
        }
        host.writes("policy-config.yaml", "pack: [");
        assert_eq!(host.types("kt gateway reload --name edge --config-path policy-config.yaml").code, 2);
    }
    assert!(load.end().await > 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_refuses_resets_and_cuts_nobody() {
    let provider = Provider::start().await;
    let (host, address) = serving(&provider).await;
    let load = Load::on(&address);
    load.until_served(100).await;
    let mut pid = host.pid("edge");
    for _ in 0..3 {
        host.types("kt gateway restart --name edge").ok();
        let next = host.pid("edge");
        assert_ne!(next, pid, "it is a new process");
        pid = next;
        load.until_served(50).await;
    }
    load.end().await;
    assert_eq!(host.acts("edge")[2..], ["restart succeeded", "restart succeeded", "restart succeeded"]);
    assert_eq!(host.status("edge")["observed"]["version"], "0.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_during_a_restart_is_carried_out_once_by_one_of_the_two() {
    let provider = Provider::start().await;
    let (host, _) = serving(&provider).await;
    let restarted = AtomicBool::new(false);
    let reloads = std::thread::scope(|scope| {
        let reloading = scope.spawn(|| {
            let mut reloads = 0;
            while !restarted.load(Ordering::SeqCst) {
                reloads += 1;
                host.writes("policy-config.yaml", provider.pack(&format!("0.2.{reloads}"), CHAIN));
                host.types("kt gateway reload --name edge --config-path policy-config.yaml").ok();
            }
            reloads
        });
        for _ in 0..3 {
            host.types("kt gateway restart --name edge").ok();
        }
        restarted.store(true, Ordering::SeqCst);
        reloading.join().expect("every reload succeeded")
    });
    let acts = host.acts("edge");
    let count = |act: &str| acts.iter().filter(|it| *it == act).count();
    assert_eq!((count("reload succeeded"), count("restart succeeded")), (reloads, 3), "{acts:?}");
    assert_eq!(acts.len(), reloads + 5, "and nothing else: {acts:?}");
    let status = host.status("edge");
    assert_eq!(
        (&status["observed"]["version"], &status["in_sync"]),
        (&json!(format!("0.2.{reloads}")), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_serves_again_with_the_environment_it_was_started_with() {
    let provider = Provider::start().await;
    let (host, address) = serving(&provider).await;
    let url = format!("http://{address}/v1/chat/completions");
    for _ in 0..3 {
        let pid = host.pid("edge");
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        let killed = Instant::now();
        // Whoever connects meanwhile waits; nobody is refused.
        let answer = eventually("it serves again", Duration::from_secs(10), async || {
            Http::new().post(&url, &chat("hello")).await.map_err(|error| format!("{error:#}"))
        })
        .await;
        assert_eq!(answer.status, 200, "with its key: {}", answer.text());
        assert!(killed.elapsed() < Duration::from_secs(10));
        let status =
            host.until("edge", "the new process is told", |status| status["pid"] != json!(pid)).await;
        assert_eq!(status["ready"], true);
    }
    // "Bearer sk-test", which the provider does not repeat.
    assert_eq!(provider.received.all().last().unwrap().headers["authorization"], "present (14 bytes)");
}
