//! `kt history …`, and the filter that its forms share.

pub(crate) mod at;
pub(crate) mod follow;
pub(crate) mod list;

use fleet_core::gateway::{GatewayName, GatewayPath, InvalidName};
use fleet_core::history::EventKind;
use policy_config::schema::PackName;
use policy_config::schema::pack::InvalidPackName;
use proto::v1::EventFilter;

use crate::cli::central::HistoryListArgs;
use crate::failure::Failure;

/// The filter that the flags give.
fn filter(args: &HistoryListArgs) -> Result<EventFilter, Failure> {
    if let Some(fleet) = &args.fleet {
        super::fleet_name("--fleet", fleet)?;
    }
    if let Some(gateway) = &args.gateway {
        let named: Result<(), InvalidName> = if gateway.contains('/') {
            gateway.parse::<GatewayPath>().map(|_| ())
        } else {
            gateway.parse::<GatewayName>().map(|_| ())
        };
        named.map_err(|error| Failure::usage("--gateway", format!("`{gateway}` is no gateway: {error}")))?;
    }
    if let Some(config) = &args.config {
        config.parse::<PackName>().map(|_| ()).map_err(|error: InvalidPackName| {
            Failure::usage("--config", format!("`{config}` is no config: {error}"))
        })?;
    }
    for kind in &args.kinds {
        if EventKind::from_word(kind).is_none() {
            let known: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            return Err(Failure::usage("--kind", format!("`{kind}` is no kind of event"))
                .with_hint(format!("the kinds are {}", known.join(", "))));
        }
    }
    Ok(EventFilter {
        fleet: args.fleet.clone().unwrap_or_default(),
        gateway: args.gateway.clone().unwrap_or_default(),
        config: args.config.clone().unwrap_or_default(),
        kinds: args.kinds.clone(),
        since: args.since,
    })
}
