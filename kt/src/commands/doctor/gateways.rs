//! The gateways of this host: which there are, and how they stand.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use futures_util::future::join_all;

use super::{Check, Status};
use crate::instances::look::{Looked, Phase};
use crate::instances::{self, Found};
use crate::words::counted;

/// One of them, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LocalGateway {
    status: Status,
    /// `a runs 0.1.0`
    told: String,
    hint: Option<String>,
}

/// On a thread of its own: a disk may hang.
pub(super) fn check(home: &Path) -> Check {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(local_gateways(home)),
        Err(error) => Check::new("gateways", Status::Problem, format!("cannot be asked: {error}")),
    }
}

async fn local_gateways(home: &Path) -> Check {
    let tell = |status, message: String| Check::new("gateways", status, message);
    let found = match instances::all_in(home) {
        Ok(found) => found,
        Err(failure) => return tell(Status::Problem, failure.message().to_owned()),
    };
    if found.is_empty() {
        return tell(Status::Skipped, "none on this host".to_owned());
    }
    let gateways = join_all(found.iter().map(local_gateway)).await;
    let all: Vec<_> = gateways.iter().map(|gateway| gateway.told.as_str()).collect();
    let message = format!("{}: {}", counted(gateways.len(), "gateway"), all.join("; "));
    let worst = |status| gateways.iter().find(move |gateway| gateway.status == status);
    let (status, hint) = match worst(Status::Problem).or_else(|| worst(Status::Warning)) {
        Some(gateway) => (gateway.status, gateway.hint.clone()),
        None => (Status::Ok, None),
    };
    match hint {
        Some(hint) => tell(status, message).with_hint(hint),
        None => tell(status, message),
    }
}

async fn local_gateway(found: &Found) -> LocalGateway {
    let name = found.name();
    let dir = found.place.dir();
    let of = |status, what: String, hint: Option<String>| LocalGateway {
        status,
        told: format!("{name} {what}"),
        hint,
    };
    let looked = found.look().await;
    if let Err(why) = &found.description {
        let runs = if looked.is_ok_and(|looked| looked.status.running) { "runs, but is" } else { "is" };
        let hint = format!("see `{}`; `kt gateway uninstall --name {name}` removes it", dir.display());
        return of(Status::Problem, format!("{runs} spoiled: {why}"), Some(hint));
    }
    let looked = match looked {
        Ok(looked) => looked,
        Err(failure) => {
            return of(
                Status::Problem,
                format!("cannot be asked: {}", failure.message()),
                failure.hint().map(str::to_owned),
            );
        }
    };
    let mode = std::fs::symlink_metadata(dir).map_or(0, |found| found.mode() & 0o7777);
    let mut told = judged(&looked, name);
    if mode & 0o077 != 0 && told.status == Status::Ok {
        told.status = Status::Warning;
        told.hint =
            Some(format!("others may look into `{0}` (mode {mode:04o}): `chmod 700 {0}`", dir.display()));
    }
    told
}

/// What its standing means. Pure.
fn judged(looked: &Looked, name: &str) -> LocalGateway {
    let status = &looked.status;
    let version = |version: Option<&instance::documents::Version>| {
        version
            .map_or("nothing", |version| version.version.as_deref().unwrap_or("a pack that does not parse"))
            .to_owned()
    };
    let failed =
        status.last_failure.as_ref().map(|failure| format!(": {}", failure.reason)).unwrap_or_default();
    let see = Some(format!("see `kt gateway status --name {name}`"));
    let (judgement, what, hint) = match looked.phase {
        Phase::Running { supervised } => {
            let runs = format!("runs {}", version(status.observed.as_ref()));
            let alone = if supervised { "" } else { ", in a foreground" };
            if !status.ready {
                (Status::Warning, format!("is not ready{alone}{failed}"), see)
            } else if !status.in_sync {
                (Status::Warning, format!("{runs}{alone}, not in sync{failed}"), see)
            } else {
                (Status::Ok, format!("{runs}{alone}"), None)
            }
        }
        Phase::Restarting => {
            let reason = looked.supervision.as_ref().and_then(|told| told.reason.as_deref());
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            (Status::Problem, format!("does not come up again{reason}"), see)
        }
        Phase::Starting => (Status::Ok, "is starting".to_owned(), None),
        Phase::Stopping => (Status::Ok, "is stopping".to_owned(), None),
        Phase::Stopped if failed.is_empty() => (Status::Ok, "is stopped".to_owned(), None),
        Phase::Stopped => (Status::Warning, format!("is stopped, and failed{failed}"), see),
    };
    LocalGateway { status: judgement, told: format!("{name} {what}"), hint }
}
