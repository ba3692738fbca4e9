//! The vocabulary of a fleet and every decision about it.
//!
//! A push, in types: bytes become a [`version::ConfigVersion`]; a [`rollout`] assigns it, which gives each gateway a
//! [`version::DesiredVersion`] with the next [`version::Generation`]; a session of [`delivery`] turns that into an
//! [`offer::Offer`]; the agent judges it against its [`standing`]; its [`offer::Acknowledgement`] moves the
//! [`activation`]; the counts move the rollout; each outcome is a row of [`history`].
//!
//! Pure: time and ids come in as values, nothing here can ask for either. The types are deliberately not
//! serialisable: serialisation is a promise, and that promise is `proto`'s.

#![forbid(unsafe_code)]

pub mod activation;
pub mod delivery;
pub mod gateway;
pub mod history;
pub mod ids;
pub mod liveness;
pub mod offer;
pub mod rollout;
pub mod stable;
pub mod standing;
pub mod time;
pub mod version;
