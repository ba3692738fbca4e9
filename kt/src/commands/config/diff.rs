//! `kt config diff A [B]`: what effectively changed; nothing printed when nothing did.

use proto::v1::{DiffConfigsRequest, GetConfigRequest};

use super::RevisionRef;
use crate::cli::central::ConfigDiffArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::DiffView;

pub(crate) async fn run(args: &ConfigDiffArgs, printer: &Printer) -> Result<Exit, Failure> {
    let from = RevisionRef::parse("NAME[@REVISION]", &args.from)?;
    let to = args.to.as_deref().map(|text| RevisionRef::parse("NAME[@REVISION]", text)).transpose()?;
    if let Some(other) = to.as_ref().filter(|to| to.config != from.config) {
        let message = format!("`{}` and `{}` are two configs; a diff is of one", from.config, other.config);
        return Err(Failure::usage("NAME[@REVISION]", message));
    }
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let request = DiffConfigsRequest {
        config: from.config.to_string(),
        from_revision: match from.revision {
            Some(revision) => revision.0,
            None => before_newest(&client, &from).await?,
        },
        to_revision: to.map_or(0, |to| to.wire_revision()),
    };
    let view = DiffView::of(&client.answer(client.configs().diff_configs(ask(request)).await)?);
    if printer.is_json() {
        printer.json(&view)?;
    } else {
        printer.text(&tables::diff(&view.sections))?;
    }
    Ok(Exit::Done)
}

/// The revision before the newest one.
async fn before_newest(client: &Client, named: &RevisionRef) -> Result<u64, Failure> {
    let request = GetConfigRequest { config: named.config.to_string(), revision: 0 };
    let newest = client.answer(client.configs().get_config(ask(request)).await)?.revision.unwrap_or_default();
    match newest.revision.checked_sub(1) {
        Some(before) if before > 0 => Ok(before),
        _ => Err(Failure::new(
            Exit::NotFound,
            "not_found",
            format!("`{}` has one revision only, so there is nothing before it", named.config),
        )
        .with_hint(format!("see it with `kt config show {}`", named.config))),
    }
}
