//! HistoryService: pages, the tail, and what was in force.

use std::sync::Arc;
use std::time::Duration;

use fleet_core::gateway::{FleetName, GatewayName, GatewayPath};
use fleet_core::history::{Cursor, EventKind};
use proto::convert::scalars::{self, parse, parse_optional};
use proto::v1::history_service_server::HistoryService;
use proto::v1::tail_events_response::Item;
use proto::{WireError, v1};
use service_kit::drain::DrainWatcher;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::call_error::CallError;
use super::{status, wire};
use crate::operations::{Context, OperationError, WakeListener};
use crate::store::history::{EventFilter, event_head, event_in_force_at, event_list, event_newest};
use crate::store::lane::Lane;
use crate::store::{fleets, gateways};

const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;
/// A lost wake-up costs a tail this much.
const POLL: Duration = Duration::from_millis(500);
/// Wake-ups come per batch of reports; a tail reads at most this often.
const AT_MOST_EVERY: Duration = Duration::from_millis(50);
/// How often a quiet tail says how far it looked.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// How many existing names are told to whoever asks for one that does not exist.
const KNOWN: u32 = 20;

#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) context: Context,
    pub(crate) drain: DrainWatcher,
    /// Of all who follow something.
    pub(crate) lane: Arc<Lane>,
}

/// One reader that follows.
struct Tail {
    context: Context,
    lane: Arc<Lane>,
    filter: EventFilter,
    cursor: Cursor,
    out: mpsc::Sender<Result<v1::TailEventsResponse, Status>>,
}

#[tonic::async_trait]
impl HistoryService for History {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let request = request.into_inner();
        let filter = filter(request.filter).map_err(status::refuse)?;
        let size = page_size(request.page_size).map_err(status::refuse)?;
        let store = &self.context.store;
        let page = if request.newest {
            event_newest(store, &filter, size).await
        } else {
            event_list(
                store,
                &filter,
                cursor("after_cursor", request.after_cursor).map_err(status::refuse)?,
                size,
            )
            .await
        };
        let page = page.map_err(status::refuse)?;
        Ok(Response::new(v1::ListEventsResponse {
            events: page.events.into_iter().map(wire::event).collect(),
            next_cursor: page.next.0,
            more: page.more,
        }))
    }

    type TailEventsStream = ReceiverStream<Result<v1::TailEventsResponse, Status>>;

    async fn tail_events(
        &self,
        request: Request<v1::TailEventsRequest>,
    ) -> Result<Response<Self::TailEventsStream>, Status> {
        let request = request.into_inner();
        let filter = filter(request.filter).map_err(status::refuse)?;
        // Before the first read: what is committed meanwhile wakes it.
        let wake = self.context.wake.listen();
        let cursor = match request.cursor {
            Some(number) => cursor("cursor", number).map_err(status::refuse)?,
            None => {
                let store = &self.context.store;
                let head = async {
                    let _turn = self.lane.turn(store).await?;
                    event_head(store).await
                };
                store.while_there(head).await.map_err(status::refuse)?
            }
        };
        let (out, stream) = mpsc::channel(64);
        let tail = Tail { context: self.context.clone(), lane: self.lane.clone(), filter, cursor, out };
        let drain = self.drain.clone();
        self.drain.spawn("tail of the history", tail.run(wake, drain));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn in_force_at(
        &self,
        request: Request<v1::InForceAtRequest>,
    ) -> Result<Response<v1::InForceAtResponse>, Status> {
        let (path, at) = in_force_request(request.into_inner()).map_err(status::refuse)?;
        let store = &self.context.store;
        let found = gateways::gateway_get(store, &path, 1).await.map_err(status::refuse)?;
        let Some((gateway, _)) = found else {
            return Err(status::refuse(unknown_gateway(&self.context, &path).await));
        };
        let in_force = event_in_force_at(store, gateway.id, at).await.map_err(status::refuse)?;
        let in_force = in_force.ok_or_else(|| {
            status::refuse(OperationError::NotFound {
                what: "version in force at that time on gateway",
                name: path.to_string(),
                known: Vec::new(),
            })
        })?;
        Ok(Response::new(wire::in_force(path.to_string(), at, in_force)))
    }
}

// === impl Tail ===

impl Tail {
    async fn run(self, mut wake: WakeListener, drain: DrainWatcher) {
        let ended = tokio::select! {
            () = drain.signaled() => status::refuse(CallError::Draining),
            () = self.out.closed() => return,
            status = self.follow(&mut wake) => status,
        };
        // A reader that is behind must not take this for the end of the history.
        let _ = self.out.send_timeout(Err(ended), Duration::from_secs(1)).await;
    }

    /// Never ends but by an error of the store, which is told: the reader comes back with its cursor.
    async fn follow(&self, wake: &mut WakeListener) -> Status {
        let mut cursor = self.cursor;
        let mut told = Instant::now();
        loop {
            let store = &self.context.store;
            let read = async {
                let _turn = self.lane.turn(store).await?;
                event_list(store, &self.filter, cursor, MAX_PAGE).await
            };
            let page = match store.while_there(read).await {
                Ok(page) => page,
                Err(error) => return status::refuse(error),
            };
            let quiet = page.events.is_empty();
            for event in page.events {
                self.say(Item::Event(wire::event(event))).await;
                told = Instant::now();
            }
            cursor = page.next;
            if quiet && told.elapsed() >= KEEPALIVE {
                self.say(Item::Cursor(cursor.0)).await;
                told = Instant::now();
            }
            if !page.more {
                tokio::time::sleep(AT_MOST_EVERY).await;
                tokio::select! {
                    () = wake.woken() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
    }

    /// Waits for a slow reader: it holds up nobody but itself. When it is gone, `run` ends.
    async fn say(&self, item: Item) {
        let _ = self.out.send(Ok(v1::TailEventsResponse { item: Some(item) })).await;
    }
}

/// Says that there is no such gateway, or no such fleet, and what there is.
pub(crate) async fn unknown_gateway(context: &Context, path: &GatewayPath) -> OperationError {
    let known = match gateways::gateway_names(&context.store, &path.fleet, KNOWN).await {
        Ok(known) => known,
        Err(error) => return error.into(),
    };
    if known.is_empty() {
        match fleets::fleet_get(&context.store, &path.fleet).await {
            Ok(None) => return unknown_fleet(context, &path.fleet).await,
            Ok(Some(_)) => {}
            Err(error) => return error.into(),
        }
    }
    OperationError::NotFound { what: "gateway", name: path.to_string(), known }
}

/// Says that there is no such fleet, and what there is.
pub(crate) async fn unknown_fleet(context: &Context, fleet: &FleetName) -> OperationError {
    match fleets::fleet_names(&context.store, KNOWN).await {
        Ok(known) => OperationError::NotFound { what: "fleet", name: fleet.to_string(), known },
        Err(error) => error.into(),
    }
}

fn filter(wire: Option<v1::EventFilter>) -> Result<EventFilter, WireError> {
    let wire = wire.unwrap_or_default();
    let mut fleet: Option<FleetName> = parse_optional("filter.fleet", &wire.fleet)?;
    let mut gateway: Option<GatewayName> = None;
    if wire.gateway.contains('/') {
        let path: GatewayPath = parse("filter.gateway", &wire.gateway)?;
        if fleet.as_ref().is_some_and(|fleet| *fleet != path.fleet) {
            return Err(WireError::new("filter.gateway", "is of another fleet than filter.fleet"));
        }
        fleet = Some(path.fleet);
        gateway = Some(path.name);
    } else if !wire.gateway.is_empty() {
        gateway = Some(parse("filter.gateway", &wire.gateway)?);
    }
    let kinds = wire.kinds.iter().map(|word| kind(word)).collect::<Result<_, _>>()?;
    let since = wire.since.map(|since| time("filter.since", since)).transpose()?;
    Ok(EventFilter { fleet, gateway, config: parse_optional("filter.config", &wire.config)?, kinds, since })
}

fn kind(word: &str) -> Result<EventKind, WireError> {
    EventKind::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        WireError::new("filter.kinds", format!("is of {}", all.join(", ")))
    })
}

fn page_size(asked: u32) -> Result<u32, WireError> {
    match asked {
        0 => Ok(DEFAULT_PAGE),
        1..=MAX_PAGE => Ok(asked),
        _ => Err(WireError::new("page_size", format!("is at most {MAX_PAGE}"))),
    }
}

fn cursor(field: &'static str, number: u64) -> Result<Cursor, WireError> {
    match i64::try_from(number) {
        Ok(_) => Ok(Cursor(number)),
        Err(_) => Err(WireError::new(field, "is a cursor that the history gave")),
    }
}

fn in_force_request(wire: v1::InForceAtRequest) -> Result<(GatewayPath, OffsetDateTime), WireError> {
    let path = GatewayPath { fleet: parse("fleet", &wire.fleet)?, name: parse("gateway", &wire.gateway)? };
    let at = wire.at.ok_or_else(|| WireError::missing("at"))?;
    Ok((path, time("at", at)?))
}

fn time(field: &'static str, wire: prost_types::Timestamp) -> Result<OffsetDateTime, WireError> {
    let micros = scalars::timestamp(field, wire)?.micros;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|_| WireError::new(field, "is a time between the years 1 and 9999"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_both_ways_to_name_a_gateway() {
        let wire = |fleet: &str, gateway: &str| v1::EventFilter {
            fleet: fleet.into(),
            gateway: gateway.into(),
            ..Default::default()
        };
        let path = filter(Some(wire("", "prod/edge-1"))).unwrap();
        assert_eq!(filter(Some(wire("prod", "edge-1"))), Ok(path));
        assert_eq!(filter(None), Ok(EventFilter::default()));
        let field = |wire| filter(Some(wire)).map_err(|error| error.field);
        assert_eq!(field(wire("test", "prod/edge-1")), Err("filter.gateway"));
        assert_eq!(field(wire("Prod", "")), Err("filter.fleet"));
        let kinds = vec!["activation".into(), "frobnicated".into()];
        assert_eq!(field(v1::EventFilter { kinds, ..Default::default() }), Err("filter.kinds"));
    }
}
