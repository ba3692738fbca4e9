//! `kt gateway inspect FLEET/NAME`

use proto::v1::GetGatewayRequest;

use crate::cli::local::GatewayInspectArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::GatewayView;

pub(crate) async fn run(args: &GatewayInspectArgs, printer: &Printer) -> Result<Exit, Failure> {
    let path = super::super::gateway_path("FLEET/NAME", &args.gateway)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let request = GetGatewayRequest { fleet: path.fleet.to_string(), name: path.name.to_string() };
    let gateway = client.answer(client.gateways().get_gateway(ask(request)).await)?;
    let view = GatewayView::with_outcomes(&gateway);
    if printer.is_json() {
        printer.json(&view)?;
    } else {
        printer.text(&tables::gateway(&view, printer.width()))?;
    }
    Ok(Exit::Done)
}
