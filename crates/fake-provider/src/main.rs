//! The program `fake-provider [LISTEN]`: serves until it is told to end, and says where on its first line.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use fake_provider::FakeProvider;
use service_kit::drain;

const DEFAULT_LISTEN: &str = "127.0.0.1:41009";
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "fake-provider: {message}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), String> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
    let address: SocketAddr =
        listen.parse().map_err(|_| format!("`{listen}` is no address to listen on; say {DEFAULT_LISTEN}"))?;
    let bound =
        FakeProvider::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let _ = writeln!(std::io::stdout(), "http://{}", bound.addr);
    let (trigger, watcher) = drain::channel();
    let serving = watcher.clone();
    watcher.spawn("fake provider", async move { bound.serve(serving).await });
    drain::run_until_signal().await;
    trigger.start();
    trigger.drained(DRAIN_DEADLINE).await.map_err(|busy| busy.to_string())
}
