//! `kt gateway unpin`: a gateway that was changed on its host follows its fleet again.

use instance::documents::{Source, Status, UnpinRequest, routes};

use super::change;
use crate::cli::gateway::GatewayUnpinArgs;
use crate::failure::{Exit, Failure};
use crate::instances::door::{self, NotDone};
use crate::printer::Printer;
use crate::words::clean_line;

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
    let follows = match (&status.control_plane, status.source) {
        (Some(link), _) => format!("it runs what fleet {} says", clean_line(&link.fleet)),
        (None, Source::ControlPlane) => "it runs what its fleet says".to_owned(),
        (None, Source::Local) => "its packs come from this host".to_owned(),
    };
    printer.text(&format!("gateway {} is not pinned: {follows}", status.name))?;
    Ok(Exit::Done)
}
