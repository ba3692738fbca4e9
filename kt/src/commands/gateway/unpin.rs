//! `kt gateway unpin`: a gateway that was changed on its host follows its fleet again.

use instance::documents::{Status, UnpinRequest, routes};

use super::change;
use crate::cli::gateway::GatewayUnpinArgs;
use crate::failure::{Exit, Failure};
use crate::instances::door::{self, NotDone};
use crate::printer::Printer;

pub(crate) async fn run(args: &GatewayUnpinArgs, printer: &Printer) -> Result<Exit, Failure> {
    let found = change::running(&args.gateway.name, None).await?;
    let request = UnpinRequest { reason: args.reason.clone() };
    let told = door::order::<Status>(&found.place, routes::UNPIN, &request).await;
    let status = told.map_err(|not| match not {
        NotDone::Refused(refused) => change::told(found.name(), &refused, None, printer),
        NotDone::Unheard(failure) => failure,
    })?;
    if printer.is_json() {
        printer.json(&status)?;
        return Ok(Exit::Done);
    }
    let fleet = status.control_plane.as_ref().map_or("its fleet", |link| link.fleet.as_str());
    printer.text(&format!("gateway {} is not pinned: it runs what {fleet} says", status.name))?;
    Ok(Exit::Done)
}
