//! `kt fleet show FLEET`

use proto::v1::GetFleetRequest;

use crate::cli::central::FleetArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::FleetView;

pub(crate) async fn run(args: &FleetArgs, printer: &Printer) -> Result<Exit, Failure> {
    let name = super::super::fleet_name("FLEET", &args.name)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let request = GetFleetRequest { name: name.to_string() };
    let view = FleetView::of(&client.answer(client.fleets().get_fleet(ask(request)).await)?);
    if printer.is_json() {
        printer.json(&view)?;
    } else {
        printer.text(&tables::fleet(&view))?;
    }
    Ok(Exit::Done)
}
