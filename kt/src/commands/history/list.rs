//! `kt history`: what is there, oldest first.

use std::collections::VecDeque;

use proto::v1::{EventFilter, HistoryEvent, ListEventsRequest};

use crate::cli::central::HistoryListArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::EventView;

/// The most events of one page.
const PAGE: u32 = 1000;

pub(crate) async fn run(args: &HistoryListArgs, printer: &Printer) -> Result<Exit, Failure> {
    let filter = super::filter(args)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let events = match args.limit {
        Some(limit) if limit <= PAGE => newest(&client, filter, limit).await?,
        limit => all(&client, filter, limit).await?,
    };
    let views: Vec<_> = events.iter().map(EventView::of).collect();
    if printer.is_json() {
        printer.json(&views)?;
    } else if views.is_empty() {
        printer.talk("no such events");
    } else {
        let lines: Vec<_> = views.iter().map(tables::event).collect();
        printer.text(&lines.join("\n"))?;
    }
    Ok(Exit::Done)
}

async fn newest(client: &Client, filter: EventFilter, limit: u32) -> Result<VecDeque<HistoryEvent>, Failure> {
    let request = ListEventsRequest { filter: Some(filter), after_cursor: 0, page_size: limit, newest: true };
    Ok(client.answer(client.history().list_events(ask(request)).await)?.events.into())
}

/// Page by page from the oldest on, keeping the last `limit`.
async fn all(
    client: &Client,
    filter: EventFilter,
    limit: Option<u32>,
) -> Result<VecDeque<HistoryEvent>, Failure> {
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut events = VecDeque::new();
    let mut after_cursor = 0;
    loop {
        let request =
            ListEventsRequest { filter: Some(filter.clone()), after_cursor, page_size: PAGE, newest: false };
        let page = client.answer(client.history().list_events(ask(request)).await)?;
        events.extend(page.events);
        events.drain(..events.len().saturating_sub(most));
        if !page.more || page.next_cursor <= after_cursor {
            return Ok(events);
        }
        after_cursor = page.next_cursor;
    }
}
