//! Traffic that never stops: whole answers and streams at every gateway. A request is lost when it was refused, reset,
//! torn or answered with a failure; what was under way on a gateway that was itself killed is counted apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;
use service_kit::drain::{self, DrainTrigger};
use tests::http::{Answer, Http, chat, slow_stream};
use tests::programs::GatewayProgram;
use tokio::task::JoinHandle;

/// Of one gateway: how often it was killed, and whether it is away just now.
#[derive(Debug, Default)]
pub struct Health {
    kills: AtomicU64,
    away: AtomicBool,
}

/// What became of all requests.
#[derive(Debug, Default)]
pub struct Tally {
    pub served: AtomicU64,
    pub cut_by_kill: AtomicU64,
    /// What was lost, in words.
    pub lost: std::sync::Mutex<Vec<String>>,
}

/// Running clients.
pub struct Load {
    pub tally: Arc<Tally>,
    pub health: Vec<Arc<Health>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
    _trigger: DrainTrigger,
}

// === impl Health ===

impl Health {
    /// Before the kill.
    pub fn killed(&self) {
        self.away.store(true, Ordering::SeqCst);
        self.kills.fetch_add(1, Ordering::SeqCst);
    }

    /// It serves again.
    pub fn back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    fn epoch(&self) -> Option<u64> {
        (!self.away.load(Ordering::SeqCst)).then(|| self.kills.load(Ordering::SeqCst))
    }
}

// === impl Load ===

impl Load {
    /// One client of whole answers and one of streams for each gateway.
    pub fn start(gateways: &[GatewayProgram]) -> Self {
        let (trigger, tasks) = drain::channel();
        let (tally, stop) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let mut load = Self {
            tally: Arc::clone(&tally),
            health: Vec::new(),
            stop: Arc::clone(&stop),
            clients: Vec::new(),
            _trigger: trigger,
        };
        for gateway in gateways {
            let health = Arc::new(Health::default());
            for body in [chat("hello"), slow_stream("a story", 10, 20)] {
                let client = Client {
                    url: format!("{}/v1/chat/completions", gateway.url()),
                    name: gateway.name.clone(),
                    body,
                    tally: Arc::clone(&tally),
                    health: Arc::clone(&health),
                    stop: Arc::clone(&stop),
                };
                load.clients.push(tasks.spawn("client", client.run()));
            }
            load.health.push(health);
        }
        load
    }

    /// Ends the clients; answers what became of their requests.
    pub async fn end(self) -> Arc<Tally> {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.expect("a client does not panic");
        }
        self.tally
    }
}

struct Client {
    url: String,
    name: String,
    body: Value,
    tally: Arc<Tally>,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
}

impl Client {
    async fn run(self) {
        // A client of its own: after a kill no connection of the dead one is in a pool of others.
        let mut http = Http::new();
        while !self.stop.load(Ordering::SeqCst) {
            let Some(before) = self.health.epoch() else {
                http = Http::new();
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            };
            let problem = match http.post(&self.url, &self.body).await {
                Ok(answer) => self.problem(&answer),
                Err(error) => Some(format!("{error:#}")),
            };
            match problem {
                None => {
                    self.tally.served.fetch_add(1, Ordering::SeqCst);
                }
                Some(_) if self.health.epoch() != Some(before) => {
                    self.tally.cut_by_kill.fetch_add(1, Ordering::SeqCst);
                }
                Some(problem) => self.tally.lost.lock().unwrap().push(format!("{}: {problem}", self.name)),
            }
        }
    }

    fn problem(&self, answer: &Answer) -> Option<String> {
        let streamed = self.body["stream"] == true;
        let whole = if streamed {
            answer.text().contains("data: [DONE]")
        } else {
            answer.json().is_ok_and(|answer| answer["choices"].is_array())
        };
        let served = answer.status == 200 && whole && answer.version().is_some();
        (!served).then(|| format!("{} {}", answer.status, answer.text()))
    }
}
