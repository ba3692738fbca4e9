//! `kt gateway supervise`: what `kt gateway start` leaves running. Not for people.

use crate::cli::gateway::GatewaySuperviseArgs;
use crate::failure::{Exit, Failure};
use crate::instances;
use crate::supervisor;

pub(crate) async fn run(args: GatewaySuperviseArgs) -> Result<Exit, Failure> {
    let found = instances::find(&args.gateway.name)?;
    supervisor::run(found.place, args.program).await.map(|()| Exit::Done)
}
