//! RolloutService: start, read, and watch until the end.

use std::sync::Arc;
use std::time::Duration;

use fleet_core::gateway::FleetName;
use fleet_core::ids::RolloutId;
use fleet_core::rollout::RolloutState;
use proto::convert::findings::wire_refusal;
use proto::convert::rollouts::{strategy, wire_counts, wire_state, wire_strategy};
use proto::convert::scalars::{parse, parse_optional, revision};
use proto::v1::rollout_service_server::RolloutService;
use proto::{WireError, v1};
use service_kit::drain::DrainWatcher;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::call_error::CallError;
use super::history::unknown_fleet;
use super::paging::{Listing, page_size};
use super::{auth, status, wire};
use crate::operations::{self, Context, OperationError, RolloutOrder, StartRollout, WakeListener};
use crate::store::fleets::fleet_get;
use crate::store::lane::Lane;
use crate::store::rollout_reads::{RolloutKey, RolloutView, rollout_get, rollout_list};

/// A lost wake-up, and what other replicas did, cost a watcher this much.
const POLL: Duration = Duration::from_millis(500);
/// Wake-ups come per batch of reports; a watcher reads at most this often.
const AT_MOST_EVERY: Duration = Duration::from_millis(50);
const MAX_KEY: usize = 128;

#[derive(Debug, Clone)]
pub(crate) struct Rollouts {
    pub(crate) context: Context,
    pub(crate) drain: DrainWatcher,
    /// Of all who follow something.
    pub(crate) lane: Arc<Lane>,
}

/// One reader that watches one rollout.
struct Watch {
    context: Context,
    lane: Arc<Lane>,
    id: RolloutId,
    out: mpsc::Sender<Result<v1::Rollout, Status>>,
}

#[tonic::async_trait]
impl RolloutService for Rollouts {
    async fn start_rollout(
        &self,
        request: Request<v1::StartRolloutRequest>,
    ) -> Result<Response<v1::Rollout>, Status> {
        let principal = auth::principal(&request)?;
        let order = start_order(request.into_inner()).map_err(status::refuse)?;
        let rollout =
            operations::start_rollout(&self.context, &principal, order).await.map_err(status::refuse)?;
        Ok(Response::new(wire_rollout(rollout)))
    }

    async fn get_rollout(
        &self,
        request: Request<v1::GetRolloutRequest>,
    ) -> Result<Response<v1::Rollout>, Status> {
        let id: RolloutId = parse("id", &request.get_ref().id).map_err(status::refuse)?;
        Ok(Response::new(wire_rollout(load(&self.context, id).await.map_err(status::refuse)?)))
    }

    async fn list_rollouts(
        &self,
        request: Request<v1::ListRolloutsRequest>,
    ) -> Result<Response<v1::ListRolloutsResponse>, Status> {
        let request = request.into_inner();
        let fleet: Option<FleetName> = parse_optional("fleet", &request.fleet).map_err(status::refuse)?;
        let listing = Listing { name: "rollouts", filter: &request.fleet };
        let size = page_size(request.page_size).map_err(status::refuse)?;
        let before: Option<PageKey> = listing.after(&request.page_token).map_err(status::refuse)?;
        let store = &self.context.store;
        let page = rollout_list(store, fleet.as_ref(), before.map(|key| key.0), size)
            .await
            .map_err(status::refuse)?;
        if let Some(fleet) = fleet.filter(|_| page.items.is_empty())
            && fleet_get(store, &fleet).await.map_err(status::refuse)?.is_none()
        {
            return Err(status::refuse(unknown_fleet(&self.context, &fleet).await));
        }
        Ok(Response::new(v1::ListRolloutsResponse {
            rollouts: page.items.into_iter().map(wire_rollout).collect(),
            next_page_token: listing.token(page.next.map(PageKey)),
        }))
    }

    type WatchRolloutStream = ReceiverStream<Result<v1::Rollout, Status>>;

    async fn watch_rollout(
        &self,
        request: Request<v1::WatchRolloutRequest>,
    ) -> Result<Response<Self::WatchRolloutStream>, Status> {
        let id: RolloutId = parse("id", &request.get_ref().id).map_err(status::refuse)?;
        let wake = self.context.wake.listen();
        // One message: a slow watcher finds only the newest state.
        let (out, stream) = mpsc::channel(1);
        let watch = Watch { context: self.context.clone(), lane: self.lane.clone(), id, out };
        let first = watch.load().await.map_err(status::refuse)?;
        let drain = self.drain.clone();
        self.drain.spawn("watch of a rollout", watch.run(first, wake, drain));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

// === impl Watch ===

impl Watch {
    async fn run(self, first: RolloutView, mut wake: WakeListener, drain: DrainWatcher) {
        let ended = tokio::select! {
            () = drain.signaled() => Err(status::refuse(CallError::Draining)),
            () = self.out.closed() => return,
            ended = self.follow(first, &mut wake) => ended.map_err(status::refuse),
        };
        if let Err(status) = ended {
            let _ = self.out.send_timeout(Err(status), Duration::from_secs(1)).await;
        }
    }

    async fn load(&self) -> Result<RolloutView, OperationError> {
        let _turn = self.lane.turn(&self.context.store).await?;
        load(&self.context, self.id).await
    }

    /// Ends when the end was sent.
    async fn follow(&self, first: RolloutView, wake: &mut WakeListener) -> Result<(), OperationError> {
        let mut newest = first;
        let mut sent: Option<RolloutView> = None;
        loop {
            if sent.as_ref() != Some(&newest) {
                // Waits for the reader, then tells what is newest by then.
                let Ok(place) = self.out.reserve().await else { return Ok(()) };
                if sent.is_some() {
                    newest = self.load().await?;
                }
                place.send(Ok(wire_rollout(newest.clone())));
                if is_over(&newest) {
                    return Ok(());
                }
                sent = Some(newest);
            }
            tokio::time::sleep(AT_MOST_EVERY).await;
            tokio::select! {
                () = wake.woken() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            newest = self.load().await?;
        }
    }
}

/// Where a page goes on, as text.
struct PageKey(RolloutKey);

// === impl PageKey ===

impl std::fmt::Display for PageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0.created_at.unix_timestamp_nanos(), self.0.id)
    }
}

impl std::str::FromStr for PageKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (nanos, id) = text.split_once('/').ok_or(())?;
        let created_at =
            OffsetDateTime::from_unix_timestamp_nanos(nanos.parse().map_err(drop)?).map_err(drop)?;
        Ok(Self(RolloutKey { created_at, id: id.parse().map_err(drop)? }))
    }
}

pub(crate) fn wire_rollout(rollout: RolloutView) -> v1::Rollout {
    v1::Rollout {
        id: rollout.id.to_string(),
        kind: v1::RolloutKind::Deploy.into(),
        fleet: rollout.fleet.to_string(),
        config: rollout.version.config.to_string(),
        revision: rollout.version.revision.0,
        version: rollout.version.version.to_string(),
        digest: rollout.version.digest.to_string(),
        state: wire_state(rollout.state).into(),
        reason: rollout.reason,
        waves: rollout
            .waves
            .into_iter()
            .map(|wave| v1::Wave {
                index: wave.index,
                state: wave.state,
                targets: wave.targets,
                active: wave.active,
            })
            .collect(),
        counts: Some(wire_counts(&rollout.counts)),
        waiting_on: rollout.waiting_on,
        rejections: rollout
            .rejections
            .iter()
            .map(|rejection| v1::Rejection {
                gateway: rejection.gateway.to_string(),
                refusal: Some(wire_refusal(&rejection.refusal)),
            })
            .collect(),
        created_at: Some(wire::timestamp(rollout.created_at)),
        ended_at: rollout.ended_at.map(wire::timestamp),
        created_by: rollout.created_by,
        strategy: Some(wire_strategy(rollout.strategy)),
        settled: rollout.settled.as_ref().map(wire_counts),
    }
}

/// What a push may bring along.
pub(crate) fn rollout_order(wire: v1::RolloutOrder) -> Result<RolloutOrder, WireError> {
    Ok(RolloutOrder {
        fleet: parse("rollout.fleet", &wire.fleet)?,
        strategy: strategy(wire.strategy)?,
        replace_config: wire.replace_config,
        supersede: wire.supersede,
    })
}

/// Empty: none.
pub(crate) fn idempotency_key(key: String) -> Result<Option<String>, WireError> {
    if key.is_empty() {
        Ok(None)
    } else if key.len() <= MAX_KEY && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        Ok(Some(key))
    } else {
        Err(WireError::new("idempotency_key", format!("is 1-{MAX_KEY} printable ASCII characters")))
    }
}

fn start_order(wire: v1::StartRolloutRequest) -> Result<StartRollout, WireError> {
    Ok(StartRollout {
        config: parse("config", &wire.config)?,
        revision: revision("revision", wire.revision)?,
        order: RolloutOrder {
            fleet: parse("fleet", &wire.fleet)?,
            strategy: strategy(wire.strategy)?,
            replace_config: wire.replace_config,
            supersede: wire.supersede,
        },
        accept_risk: wire.accept_risk,
        idempotency_key: idempotency_key(wire.idempotency_key)?,
    })
}

async fn load(context: &Context, id: RolloutId) -> Result<RolloutView, OperationError> {
    let found = context.store.while_there(rollout_get(&context.store, id)).await?;
    found.ok_or_else(|| OperationError::NotFound { what: "rollout", name: id.to_string(), known: Vec::new() })
}

/// Counts may go on after the end, while gateways report what they did; a watcher is told the end once.
const fn is_over(rollout: &RolloutView) -> bool {
    match rollout.state {
        RolloutState::Planned | RolloutState::Advancing | RolloutState::Reverting => false,
        RolloutState::Succeeded | RolloutState::Halted | RolloutState::Reverted | RolloutState::Aborted => {
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn page_keys_read_back() {
        let key = RolloutKey {
            created_at: OffsetDateTime::from_unix_timestamp_nanos(1_764_000_000_123_456_000).unwrap(),
            id: RolloutId(Uuid::from_u128(7)),
        };
        let read: PageKey = PageKey(key).to_string().parse().unwrap_or_else(|()| panic!("reads back"));
        assert_eq!(read.0, key);
        for bad in ["", "1", "x/y", "99999999999999999999999999999999999999/0"] {
            assert!(bad.parse::<PageKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_printable_and_short() {
        assert_eq!(idempotency_key(String::new()), Ok(None));
        assert_eq!(idempotency_key("ci-42".into()), Ok(Some("ci-42".into())));
        for bad in ["a\n", "ä", &"k".repeat(129)] {
            assert!(idempotency_key((*bad).to_owned()).is_err(), "{bad}");
        }
    }
}
