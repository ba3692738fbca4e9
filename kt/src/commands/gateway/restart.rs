//! `kt gateway restart`: the new process is ready before the old one drains.

use std::time::Duration;

use crate::cli::gateway::GatewayTimedArgs;
use crate::failure::{Exit, Failure};
use crate::instances::{self, Found, door};
use crate::printer::Printer;
use crate::programs;
use crate::supervisor::client::{self, Heard};
use crate::supervisor::protocol::{Ask, limit_ms};
use crate::supervisor::{is_ours, left_one};

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &GatewayTimedArgs, printer: &Printer) -> Result<Exit, Failure> {
    let limit = super::start::limit(args, LIMIT)?;
    let found = instances::find(&args.gateway.name)?;
    served_alone(&found)?;
    found.installed()?;
    let program = programs::find("kt-gateway")?;
    let ask = Ask::Restart { program: program.clone(), limit_ms: limit_ms(limit) };
    if let Heard::Answer(answer) = client::ask_who_stays(&found.place, &ask, limit).await? {
        return super::start::started(&found, answer, printer);
    }
    // Anew: it may have lost its supervisor just now.
    if served_alone(&found)? {
        printer.warn(&format!(
            "nobody supervises gateway `{}`: it is stopped and started, so that connections are refused meanwhile",
            found.name()
        ));
        super::stop::stop(&found, super::stop::LIMIT, printer).await?;
    }
    super::start::started(&found, client::start(&found.place, &program, limit).await?, printer)
}

/// Whether it runs without a supervisor that it once had.
///
/// # Errors
/// It never had one.
fn served_alone(found: &Found) -> Result<bool, Failure> {
    let alone = found.is_served() && !found.is_supervised();
    if alone && !lost_its_supervisor(found) { Err(foreground(found)) } else { Ok(alone) }
}

fn lost_its_supervisor(found: &Found) -> bool {
    let pid = door::server_pid(&found.place).ok().and_then(|(_, pid)| pid);
    match pid.and_then(|pid| u32::try_from(pid).ok()) {
        Some(pid) => is_ours(&found.place, pid),
        // Between two processes nobody is at the door.
        None => left_one(&found.place),
    }
}

fn foreground(found: &Found) -> Failure {
    let name = found.name();
    Failure::new(
        Exit::Conflict,
        "in_foreground",
        format!("gateway `{name}` runs in a foreground, where kt cannot put a new process in its place"),
    )
    .with_hint(match found.installed() {
        Ok(_) => format!(
            "end it where it was started, or `kt gateway stop --name {name}`, then `kt gateway start --name {name}`"
        ),
        Err(_) => format!("end it where it was started, or `kt gateway stop --name {name}`, and run it again"),
    })
}
