//! `kt history at --gateway FLEET/NAME TIME`: what was in force then.

use proto::v1::InForceAtRequest;

use crate::cli::central::HistoryAtArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::InForceView;

pub(crate) async fn run(args: &HistoryAtArgs, printer: &Printer) -> Result<Exit, Failure> {
    let path = super::super::gateway_path("--gateway", &args.gateway)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let request = InForceAtRequest {
        fleet: path.fleet.to_string(),
        gateway: path.name.to_string(),
        at: Some(args.time),
    };
    let view = InForceView::of(&client.answer(client.history().in_force_at(ask(request)).await)?);
    if printer.is_json() {
        printer.json(&view)?;
    } else {
        printer.text(&tables::facts(&[
            ("gateway", view.gateway.clone()),
            ("at", view.at.clone().unwrap_or_default()),
            ("config", format!("{}@{} ({})", view.config, view.revision, view.version)),
            ("generation", view.generation.to_string()),
            ("digest", view.digest.clone()),
            ("since", view.since.clone().unwrap_or_default()),
        ]))?;
    }
    Ok(Exit::Done)
}
