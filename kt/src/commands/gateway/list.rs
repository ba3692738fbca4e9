//! `kt gateway list [--fleet FLEET]`

mod local;

use proto::v1::ListGatewaysRequest;

use crate::cli::local::GatewayListArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::GatewayView;

pub(crate) async fn run(args: &GatewayListArgs, printer: &Printer) -> Result<Exit, Failure> {
    let Some(fleet) = &args.fleet else { return local::run(printer).await };
    let fleet = super::super::fleet_name("--fleet", fleet)?.to_string();
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let gateways = client
        .all_pages(|client, page_size, page_token| {
            let fleet = fleet.clone();
            async move {
                let request = ListGatewaysRequest { fleet, page_size, page_token };
                let page = client.gateways().list_gateways(ask(request)).await?.into_inner();
                Ok((page.gateways, page.next_page_token))
            }
        })
        .await?;
    let views: Vec<_> = gateways.iter().map(GatewayView::of).collect();
    if printer.is_json() {
        printer.json(&views)?;
    } else if views.is_empty() {
        printer.talk(&format!(
            "no gateways in {fleet} yet; start one with `kt gateway run --fleet {fleet} --name edge-1`"
        ));
    } else {
        printer.text(&tables::gateways(&views, printer.width()))?;
    }
    Ok(Exit::Done)
}
