//! `kt gateway supervise`: what `kt gateway start` leaves running. Not for people.

use crate::cli::gateway::GatewaySuperviseArgs;
use crate::commands::block_on;
use crate::failure::{Exit, Failure};
use crate::instances;
use crate::supervisor;

pub(crate) fn run(args: GatewaySuperviseArgs) -> Result<Exit, Failure> {
    // Before anything is opened.
    supervisor::close_inherited();
    let found = instances::find(&args.gateway.name)?;
    block_on(supervisor::run(found.place, args.program)).map(|()| Exit::Done)
}
