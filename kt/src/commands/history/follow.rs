//! `kt history --follow`: each event once, in order, over broken connections, until nobody reads.

use std::time::Duration;

use proto::v1::tail_events_response::Item;
use proto::v1::{EventFilter, TailEventsRequest};
use service_kit::backoff::Backoff;
use tokio::time::{Instant, sleep};
use tonic::{Request, Status};

use crate::cli::central::HistoryListArgs;
use crate::client::{Client, is_passing, jitter_seed};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::EventView;

/// A stream that held this long was a good one: the next try starts at the short delays again.
const STABLE: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &HistoryListArgs, printer: &Printer) -> Result<Exit, Failure> {
    let filter = super::filter(args)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    tokio::select! {
        ended = follow(args, &client, &filter, printer) => ended,
        // `| head` is not to wait for one more event.
        () = printer.reader_leaves() => Ok(Exit::Done),
    }
}

async fn follow(
    args: &HistoryListArgs,
    client: &Client,
    filter: &EventFilter,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let mut cursor = args.cursor;
    let mut backoff = Backoff::full_jitter(Duration::from_millis(200), Duration::from_secs(5), jitter_seed());
    let mut told = false;
    let mut was_open = false;
    loop {
        let opened = Instant::now();
        match tail(client, filter, &mut cursor, &mut was_open, printer).await? {
            Ended::ReaderGone => return Ok(Exit::Done),
            Ended::Broken => {}
        }
        if opened.elapsed() > STABLE {
            backoff.reset();
            told = false;
        }
        if !told {
            printer.warn("the connection to the control plane broke; trying again from where it was");
            told = true;
        }
        sleep(backoff.next().unwrap_or(STABLE)).await;
    }
}

enum Ended {
    /// Nobody reads stdout any more.
    ReaderGone,
    /// In a way that may pass.
    Broken,
}

async fn tail(
    client: &Client,
    filter: &EventFilter,
    cursor: &mut Option<u64>,
    was_open: &mut bool,
    printer: &Printer,
) -> Result<Ended, Failure> {
    let passing = |status: &Status, was_open: bool| {
        // What never answered may be no control plane at all: trying for ever would hide that.
        if was_open && is_passing(status) { Ok(Ended::Broken) } else { Err(client.failure(status)) }
    };
    let request = TailEventsRequest { filter: Some(filter.clone()), cursor: *cursor };
    let mut stream = match client.history().tail_events(Request::new(request)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return passing(&status, *was_open),
    };
    *was_open = true;
    loop {
        let item = match stream.message().await {
            Ok(Some(message)) => message.item,
            Ok(None) => return Ok(Ended::Broken),
            Err(status) => return passing(&status, true),
        };
        match item {
            Some(Item::Event(event)) => {
                let view = EventView::of(&event);
                if printer.is_json() {
                    printer.json_line(&view)?;
                } else {
                    printer.text(&tables::event(&view))?;
                }
                *cursor = Some(event.cursor);
            }
            Some(Item::Cursor(seen)) => *cursor = Some(seen),
            None => {}
        }
        if printer.reader_gone() {
            return Ok(Ended::ReaderGone);
        }
    }
}
