//! `kt fleet list`

use proto::v1::ListFleetsRequest;

use crate::cli::central::ListArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::FleetView;

pub(crate) async fn run(args: &ListArgs, printer: &Printer) -> Result<Exit, Failure> {
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let fleets = client
        .all_pages(|client, page_size, page_token| async move {
            let request = ListFleetsRequest { page_size, page_token };
            let page = client.fleets().list_fleets(ask(request)).await?.into_inner();
            Ok((page.fleets, page.next_page_token))
        })
        .await?;
    let views: Vec<_> = fleets.iter().map(FleetView::of).collect();
    if printer.is_json() {
        printer.json(&views)?;
    } else if views.is_empty() {
        printer.talk("no fleets yet; make one with `kt fleet create NAME`");
    } else {
        printer.text(&tables::fleets(&views, printer.width()))?;
    }
    Ok(Exit::Done)
}
