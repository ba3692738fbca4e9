//! `kt rollout list --fleet FLEET`

use proto::v1::ListRolloutsRequest;

use crate::cli::central::RolloutListArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::RolloutView;

pub(crate) async fn run(args: &RolloutListArgs, printer: &Printer) -> Result<Exit, Failure> {
    let fleet = super::super::fleet_name("--fleet", &args.fleet)?.to_string();
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let rollouts = client
        .all_pages(|client, page_size, page_token| {
            let fleet = fleet.clone();
            async move {
                let request = ListRolloutsRequest { fleet, page_size, page_token };
                let page = client.rollouts().list_rollouts(ask(request)).await?.into_inner();
                Ok((page.rollouts, page.next_page_token))
            }
        })
        .await?;
    let views: Vec<_> = rollouts.iter().map(RolloutView::of).collect();
    if printer.is_json() {
        printer.json(&views)?;
    } else if views.is_empty() {
        printer.talk(&format!(
            "no rollouts in {fleet} yet; start one with `kt config push FILE --fleet {fleet}`"
        ));
    } else {
        printer.text(&tables::rollouts(&views, printer.width()))?;
    }
    Ok(Exit::Done)
}
