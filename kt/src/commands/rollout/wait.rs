//! `kt rollout wait ID`

use super::{rollout_id, show_rejections, summary_line};
use crate::cli::central::RolloutWaitArgs;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::views::RolloutView;
use crate::wait::Patience;

pub(crate) async fn run(args: &RolloutWaitArgs, printer: &Printer) -> Result<Exit, Failure> {
    let id = rollout_id(&args.id)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let rollout = client.rollout(&id.to_string()).await?;
    let waited = Patience::of(&args.goal).wait(&client, rollout, printer).await?;
    if printer.is_json() {
        printer.json(&RolloutView::of(&waited.rollout))?;
    } else {
        printer.text(&summary_line(&waited.rollout))?;
        show_rejections(&waited.rollout, None, printer);
    }
    waited.outcome()
}
