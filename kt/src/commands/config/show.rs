//! `kt config show NAME[@REVISION]`: the source bytes, exactly.

use proto::v1::GetConfigRequest;

use super::RevisionRef;
use crate::cli::central::ConfigShowArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::views::RevisionView;

pub(crate) async fn run(args: &ConfigShowArgs, printer: &Printer) -> Result<Exit, Failure> {
    let named = RevisionRef::parse("NAME[@REVISION]", &args.config)?;
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let request = GetConfigRequest { config: named.config.to_string(), revision: named.wire_revision() };
    let shown = client.answer(client.configs().get_config(ask(request)).await)?;
    if printer.is_json() {
        let revision = shown.revision.unwrap_or_default();
        printer.json(&RevisionView::of(&revision).with_source(&shown.source))?;
    } else {
        printer.raw(&shown.source)?;
    }
    Ok(Exit::Done)
}
