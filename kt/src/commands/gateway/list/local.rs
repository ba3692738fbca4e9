//! `kt gateway list`: the gateways of this host.

use futures_util::future::join_all;

use crate::failure::{Exit, Failure};
use crate::instances;
use crate::printer::Printer;
use crate::tables;
use crate::views::LocalGatewayView;

pub(super) async fn run(printer: &Printer) -> Result<Exit, Failure> {
    let all = instances::all()?;
    let views: Vec<_> = join_all(all.iter().map(async |found| {
        // One that cannot be asked is listed with what is known of it.
        let looked = found.look().await;
        match (&looked, &found.description) {
            (Err(failure), _) => printer.warn(failure.message()),
            (Ok(_), Err(why)) => printer.warn(&format!("gateway `{}`: {why}", found.name())),
            (Ok(_), Ok(_)) => {}
        }
        LocalGatewayView::of(found, looked.ok().as_ref())
    }))
    .await;
    if printer.is_json() {
        printer.json(&views)?;
    } else if views.is_empty() {
        printer.talk("no gateways on this host yet; `kt gateway install` makes one");
    } else {
        printer.text(&tables::local::gateways(&views, printer.width()))?;
    }
    Ok(Exit::Done)
}
