//! Offers and parcels.

use std::time::Duration;

use fleet_core::ids::{Lineage, SessionId};
use fleet_core::offer::{Intent, Offer};
use fleet_core::version::Generation;
use policy_config::ConfigDigest;

use super::scalars::{self, parse};
use crate::{WireError, v1};

/// An offer as it travels: with its session, its time and whether bytes follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferMessage {
    pub session: SessionId,
    pub offer: Offer,
    pub deadline: Duration,
    pub parcel_follows: bool,
}

// === impl OfferMessage ===

impl TryFrom<v1::Offer> for OfferMessage {
    type Error = WireError;

    fn try_from(wire: v1::Offer) -> Result<Self, Self::Error> {
        let intent = match wire.intent() {
            v1::Intent::Unspecified => return Err(WireError::missing("offer.intent")),
            v1::Intent::Validate => Intent::Validate,
            v1::Intent::Activate => Intent::Activate {
                lineage: parse("offer.lineage", &wire.lineage)?,
                generation: scalars::generation("offer.generation", wire.generation)?,
            },
        };
        let deadline = wire.deadline.ok_or_else(|| WireError::missing("offer.deadline"))?;
        Ok(Self {
            session: parse("offer.session_id", &wire.session_id)?,
            offer: Offer {
                id: parse("offer.offer_id", &wire.offer_id)?,
                digest: parse::<ConfigDigest>("offer.digest", &wire.digest)?,
                intent,
            },
            deadline: scalars::duration("offer.deadline", deadline)?,
            parcel_follows: wire.parcel_follows,
        })
    }
}

impl From<OfferMessage> for v1::Offer {
    fn from(message: OfferMessage) -> Self {
        let (intent, lineage, generation) = match message.offer.intent {
            Intent::Validate => (v1::Intent::Validate, String::new(), 0),
            Intent::Activate { lineage: Lineage(lineage), generation: Generation(generation) } => {
                (v1::Intent::Activate, lineage.to_string(), generation)
            }
        };
        Self {
            session_id: message.session.to_string(),
            offer_id: message.offer.id.to_string(),
            lineage,
            generation,
            digest: message.offer.digest.to_string(),
            intent: intent.into(),
            deadline: Some(scalars::wire_duration(message.deadline)),
            parcel_follows: message.parcel_follows,
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet_core::ids::OfferId;
    use uuid::Uuid;

    use super::*;

    fn message(intent: Intent) -> OfferMessage {
        OfferMessage {
            session: SessionId(Uuid::from_u128(1)),
            offer: Offer { id: OfferId(Uuid::from_u128(2)), digest: ConfigDigest::of(b"x"), intent },
            deadline: Duration::from_secs(20),
            parcel_follows: true,
        }
    }

    #[test]
    fn offers_read_back() {
        let activate = Intent::Activate { lineage: Lineage(Uuid::from_u128(3)), generation: Generation(7) };
        for intent in [Intent::Validate, activate] {
            let sent = message(intent);
            assert_eq!(OfferMessage::try_from(v1::Offer::from(sent.clone())), Ok(sent));
        }
    }

    type Spoil = fn(&mut v1::Offer);

    #[test]
    fn each_bad_field_is_named() {
        let activate = Intent::Activate { lineage: Lineage(Uuid::from_u128(3)), generation: Generation(7) };
        let good = v1::Offer::from(message(activate));
        let cases: [(&str, Spoil); 7] = [
            ("offer.session_id", |offer| offer.session_id.clear()),
            ("offer.offer_id", |offer| offer.offer_id = "x".into()),
            ("offer.digest", |offer| offer.digest = "sha256:00".into()),
            ("offer.lineage", |offer| offer.lineage.clear()),
            ("offer.generation", |offer| offer.generation = 0),
            ("offer.intent", |offer| offer.intent = 0),
            ("offer.deadline", |offer| offer.deadline = None),
        ];
        for (field, spoil) in cases {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(OfferMessage::try_from(bad).map_err(|error| error.field), Err(field));
        }
    }
}
