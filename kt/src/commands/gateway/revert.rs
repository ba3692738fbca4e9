//! `kt gateway revert`: back to the newest good pack below; after a failed reload, to what runs.

use instance::documents::{RevertRequest, routes};

use super::change;
use crate::cli::gateway::GatewayRevertArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

pub(crate) async fn run(args: &GatewayRevertArgs, printer: &Printer) -> Result<Exit, Failure> {
    let reason = change::reason(&args.break_glass)?;
    let (found, _) = change::running(&args.gateway.name, args.gateway_url.as_deref()).await?;
    let request = RevertRequest { break_glass: args.break_glass.break_glass, reason };
    change::order(&found, routes::REVERT, &request, None, printer).await
}
