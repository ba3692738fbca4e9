//! `kt config history NAME`

use policy_config::schema::PackName;
use policy_config::schema::pack::InvalidPackName;
use proto::v1::ListRevisionsRequest;

use crate::cli::central::ConfigHistoryArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::RevisionView;

pub(crate) async fn run(args: &ConfigHistoryArgs, printer: &Printer) -> Result<Exit, Failure> {
    let config: PackName = args.config.parse().map_err(|error: InvalidPackName| {
        Failure::usage("NAME", format!("`{}` is no config: {error}", args.config))
    })?;
    let config = config.to_string();
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let revisions = client
        .all_pages(|client, page_size, page_token| {
            let config = config.clone();
            async move {
                let request = ListRevisionsRequest { config, page_size, page_token };
                let page = client.configs().list_revisions(ask(request)).await?.into_inner();
                Ok((page.revisions, page.next_page_token))
            }
        })
        .await?;
    let views: Vec<_> = revisions.iter().map(RevisionView::of).collect();
    if printer.is_json() {
        printer.json(&views)?;
    } else {
        printer.text(&tables::revisions(&views, false, printer.width()))?;
    }
    Ok(Exit::Done)
}
