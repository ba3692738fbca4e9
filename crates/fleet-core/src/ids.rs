//! One type for each kind of id, so that one can never stand where another belongs. Made by the shell, never here.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Text that is not a UUID where an id of this kind belongs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} id is a UUID")]
pub struct InvalidId {
    pub kind: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { kind: $kind })
            }
        }
    };
}

id!(
    /// One gateway, for as long as its (fleet, name) exists.
    GatewayId, "gateway"
);
id!(
    /// One rollout.
    RolloutId, "rollout"
);
id!(
    /// One delivery stream.
    SessionId, "session"
);
id!(
    /// One sending of a desired version; valid in one session.
    OfferId, "offer"
);
id!(
    /// One start of an agent's process.
    BootId, "boot"
);
id!(
    /// The database that hands out generations; another one after it was recreated or restored.
    Lineage, "lineage"
);

// === impl Lineage ===

impl Lineage {
    /// The lineage of a gateway that runs from a file: its generations are its own.
    pub const LOCAL: Self = Self(Uuid::nil());
}
