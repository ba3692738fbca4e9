//! `--metrics-listen`: the process's metrics and probes on loopback.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use service_kit::admin_server::{self, AdminRoutes};
use service_kit::drain::DrainWatcher;
use service_kit::readiness::Readiness;
use tokio::net::TcpListener;

use crate::activation::live::LivePolicy;
use crate::metrics::render_live;

pub(super) struct MetricsPort {
    listener: TcpListener,
    address: SocketAddr,
    readiness: Readiness,
    recorder: PrometheusHandle,
}

/// How often histograms are folded and gauges that nobody pushes are read.
const UPKEEP: Duration = Duration::from_secs(5);

// === impl MetricsPort ===

impl MetricsPort {
    /// Binds, and starts to record: handles made before this count nowhere.
    pub(super) async fn bind(address: SocketAddr, readiness: Readiness) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, readiness, recorder: recorder() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn spawn(self, live: LivePolicy, drain: &DrainWatcher) {
        let rendering = self.recorder.clone();
        let routes = AdminRoutes {
            readiness: self.readiness,
            metrics: Some(Arc::new(move || {
                let mut text = rendering.render();
                render_live(&live, &mut text);
                text
            })),
        };
        drain.spawn("metrics port", admin_server::serve(self.listener, routes, drain.clone()));
        let (recorder, draining) = (self.recorder, drain.clone());
        drain.spawn("metrics upkeep", async move {
            loop {
                tokio::select! {
                    () = draining.signaled() => return,
                    () = tokio::time::sleep(UPKEEP) => recorder.run_upkeep(),
                }
            }
        });
    }
}

/// Begins to record, before anything is counted.
pub(super) fn record() {
    recorder();
}

/// One recorder a process; where the process brought one of its own, that one stays.
fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("this process records its metrics elsewhere; /metrics stays empty");
            }
            handle
        })
        .clone()
}
