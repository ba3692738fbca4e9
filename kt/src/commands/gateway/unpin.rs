//! `kt gateway unpin`: a gateway that was changed on its host follows its fleet again.

use instance::documents::{Source, Status, UnpinRequest, routes};

use super::change;
use crate::cli::gateway::GatewayUnpinArgs;
use crate::failure::{Exit, Failure};
use crate::instances::door::{self, NotDone};
use crate::printer::Printer;
use crate::words::clean_line;

pub(crate) async fn run(args: &GatewayUnpinArgs, printer: &Printer) -> Result<Exit, Failure> {
    let (found, before) = change::running(&args.gateway.name, None).await?;
    let request = UnpinRequest { reason: args.reason.clone() };
    let answered = door::order::<Status>(&found.place, routes::UNPIN, &request).await;
    let status = answered.map_err(|not| match not {
        NotDone::Refused(refused) => change::told(found.name(), &refused, None, printer),
        NotDone::Unheard(failure) => failure,
    })?;
    if printer.is_json() {
        printer.json(&status)?;
        return Ok(Exit::Done);
    }
    printer.text(&told(&status, before.pinned))?;
    Ok(Exit::Done)
}

/// `unpinned: follows fleet prod again`, of one that was pinned.
fn told(status: &Status, was_pinned: bool) -> String {
    let name = &status.name;
    let fleet = match (&status.control_plane, status.source) {
        (Some(link), _) => format!("fleet {}", clean_line(&link.fleet)),
        (None, Source::ControlPlane) => "its fleet".to_owned(),
        (None, Source::Local) => {
            return format!("gateway {name} is not pinned: its packs come from this host");
        }
    };
    if was_pinned {
        format!("gateway {name} is unpinned: it follows {fleet} again")
    } else {
        format!("gateway {name} was not pinned: it follows {fleet}")
    }
}
