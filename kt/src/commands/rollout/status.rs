//! `kt rollout status ID`

use super::rollout_id;
use crate::cli::central::RolloutStatusArgs;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::RolloutView;

pub(crate) async fn run(args: &RolloutStatusArgs, printer: &Printer) -> Result<Exit, Failure> {
    let id = rollout_id(&args.id)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let view = RolloutView::of(&client.rollout(&id.to_string()).await?);
    if printer.is_json() {
        printer.json(&view)?;
    } else {
        printer.text(&tables::rollout(&view))?;
    }
    Ok(Exit::Done)
}
