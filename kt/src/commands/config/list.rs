//! `kt config list`

use proto::v1::ListConfigsRequest;

use crate::cli::central::ListArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::tables;
use crate::views::RevisionView;

pub(crate) async fn run(args: &ListArgs, printer: &Printer) -> Result<Exit, Failure> {
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let configs = client
        .all_pages(|client, page_size, page_token| async move {
            let request = ListConfigsRequest { page_size, page_token };
            let page = client.configs().list_configs(ask(request)).await?.into_inner();
            Ok((page.configs, page.next_page_token))
        })
        .await?;
    let views: Vec<_> = configs.iter().map(RevisionView::of).collect();
    if printer.is_json() {
        printer.json(&views)?;
    } else if views.is_empty() {
        printer.talk("no configs yet; store one with `kt config push FILE`");
    } else {
        printer.text(&tables::revisions(&views, true, printer.width()))?;
    }
    Ok(Exit::Done)
}
