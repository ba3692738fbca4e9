//! The connection to a control plane: channel, token, deadlines, pages.

mod staleness;

use std::time::Duration;

use proto::v1;
use proto::v1::config_service_client::ConfigServiceClient;
use proto::v1::fleet_service_client::FleetServiceClient;
use proto::v1::gateway_service_client::GatewayServiceClient;
use proto::v1::history_service_client::HistoryServiceClient;
use proto::v1::rollout_service_client::RolloutServiceClient;
use service_kit::backoff::Backoff;
use tokio::time::sleep;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status};

use crate::failure::{Exit, Failure};
use crate::settings::ControlPlane;
use staleness::Watched;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// A control plane answers a ping however busy it is; something that took the connection and says nothing is
/// found out in the sum of the two.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// What the server answers at most in one message; a history page can be large.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
const PAGE: u32 = 500;
/// A key makes a second try harmless; more than this would only hide an outage.
const TRIES: usize = 3;

type Authorized = InterceptedService<Watched, Bearer>;

/// An open channel to one control plane. Reconnects by itself; cloning is cheap.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Watched,
    bearer: Bearer,
    url: String,
}

/// Puts the token on each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

/// One page of a listing: its items and the token of the next page.
pub(crate) type Page<T> = (Vec<T>, String);

// === impl Client ===

impl Client {
    /// # Errors
    /// Nobody answers at the URL.
    pub(crate) async fn connect(control_plane: &ControlPlane) -> Result<Self, Failure> {
        let url = control_plane.url.clone();
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", control_plane.token.expose())
            .parse()
            .map_err(|_| Failure::unexpected("the token cannot be sent"))?;
        bearer.set_sensitive(true);
        let channel = Endpoint::from(control_plane.uri.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .user_agent(concat!("kt/", env!("CARGO_PKG_VERSION")))
            .map_err(|_| Failure::unexpected("the name of this program cannot be sent"))?
            .connect()
            .await
            .map_err(|error| unreachable(&url, &error))?;
        Ok(Self { channel: Watched::new(channel), bearer: Bearer(bearer), url })
    }

    pub(crate) fn configs(&self) -> ConfigServiceClient<Authorized> {
        ConfigServiceClient::new(self.authorized()).max_decoding_message_size(MAX_ANSWER)
    }

    pub(crate) fn fleets(&self) -> FleetServiceClient<Authorized> {
        FleetServiceClient::new(self.authorized()).max_decoding_message_size(MAX_ANSWER)
    }

    pub(crate) fn gateways(&self) -> GatewayServiceClient<Authorized> {
        GatewayServiceClient::new(self.authorized()).max_decoding_message_size(MAX_ANSWER)
    }

    pub(crate) fn rollouts(&self) -> RolloutServiceClient<Authorized> {
        RolloutServiceClient::new(self.authorized()).max_decoding_message_size(MAX_ANSWER)
    }

    pub(crate) fn history(&self) -> HistoryServiceClient<Authorized> {
        HistoryServiceClient::new(self.authorized()).max_decoding_message_size(MAX_ANSWER)
    }

    /// A failure that names this control plane.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        Failure::of_status(status, &self.url)
    }

    /// One rollout as it is now.
    pub(crate) async fn rollout(&self, id: &str) -> Result<v1::Rollout, Failure> {
        let request = v1::GetRolloutRequest { id: id.to_owned() };
        self.answer(self.rollouts().get_rollout(ask(request)).await)
    }

    /// The message of an answer, or the failure that it tells.
    pub(crate) fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Failure> {
        answer.map(Response::into_inner).map_err(|status| self.failure(&status))
    }

    /// Makes a call that carries an idempotency key, again when its answer was lost on the way.
    pub(crate) async fn answer_once<T, F>(&self, mut call: impl FnMut(Self) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut backoff =
            Backoff::full_jitter(Duration::from_millis(200), Duration::from_secs(1), jitter_seed());
        for _ in 1..TRIES {
            match call(self.clone()).await {
                Err(status) if may_repeat(&status) => sleep(backoff.next().unwrap_or_default()).await,
                answer => return self.answer(answer),
            }
        }
        self.answer(call(self.clone()).await)
    }

    /// All pages of a listing, in order; `fetch` gets the page size and the token of the page.
    pub(crate) async fn all_pages<T, F>(
        &self,
        mut fetch: impl FnMut(Self, u32, String) -> F,
    ) -> Result<Vec<T>, Failure>
    where
        F: Future<Output = Result<Page<T>, Status>>,
    {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let (items, next) =
                fetch(self.clone(), PAGE, token.clone()).await.map_err(|status| self.failure(&status))?;
            all.extend(items);
            if next.is_empty() || next == token {
                return Ok(all);
            }
            token = next;
        }
    }

    fn authorized(&self) -> Authorized {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }
}

// === impl Bearer ===

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A request that is answered in time or fails.
pub(crate) fn ask<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// True when a stream may be opened again: the connection broke, or the control plane is going or slow.
pub(crate) fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
        || std::error::Error::source(status).is_some()
}

/// True when a call that carries an idempotency key may be made again at once. Not after a time-out: whoever
/// waited once is told.
fn may_repeat(status: &Status) -> bool {
    is_passing(status) && !matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled)
}

/// Seeds the jitter of this process, so that two that failed together do not try again together.
pub(crate) fn jitter_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

fn unreachable(url: &str, error: &tonic::transport::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Failure::new(
        Exit::Unreachable,
        "unreachable",
        format!("cannot reach the control plane at {url}: {cause}"),
    )
    .with_hint(
        "start it with `kt-control-plane` or `kt dev`, or name another one with --control-plane or \
             KT_CONTROL_PLANE",
    )
}
