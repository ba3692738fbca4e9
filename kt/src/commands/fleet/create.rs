//! `kt fleet create FLEET`

use proto::v1::CreateFleetRequest;

use crate::cli::central::FleetArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::views::FleetView;

pub(crate) async fn run(args: &FleetArgs, printer: &Printer) -> Result<Exit, Failure> {
    let name = super::super::fleet_name("FLEET", &args.name)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let request = CreateFleetRequest { name: name.to_string() };
    let fleet = client.answer(client.fleets().create_fleet(ask(request)).await)?;
    if printer.is_json() {
        printer.json(&FleetView::of(&fleet))?;
    } else {
        printer.text(&format!("fleet {name} created"))?;
        printer.talk(&format!(
            "next: kt gateway run --fleet {name} --name edge-1, then kt config push FILE --fleet {name}"
        ));
    }
    Ok(Exit::Done)
}
