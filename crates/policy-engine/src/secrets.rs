//! Secret values by target: they are handed in, never looked up here, never printed, wiped when dropped. With them
//! comes whom a target trusts, which is kept in the same place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use policy_config::schema::TargetId;
use zeroize::Zeroizing;

/// A provider key. It has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// Certificates that a target is checked against in place of the host's store, DER. Never empty where a gateway made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities(pub Arc<[Vec<u8>]>);

/// What was resolved on this host, by target. A target that needs a key or certificates and has none here is down.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    keys: BTreeMap<TargetId, Secret>,
    authorities: BTreeMap<TargetId, Authorities>,
}

// === impl Secret ===

impl Secret {
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself; for the header of one provider call and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value as the provider's header wants it, in a buffer that is wiped as well.
    pub(crate) fn prefixed(&self, prefix: &str) -> Self {
        let mut value = Zeroizing::new(String::with_capacity(prefix.len() + self.0.len()));
        value.push_str(prefix);
        value.push_str(&self.0);
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

// === impl Secrets ===

impl Secrets {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn insert(&mut self, target: TargetId, secret: Secret) {
        self.keys.insert(target, secret);
    }

    pub fn get(&self, target: &TargetId) -> Option<&Secret> {
        self.keys.get(target)
    }

    pub fn insert_authorities(&mut self, target: TargetId, authorities: Authorities) {
        self.authorities.insert(target, authorities);
    }

    pub fn authorities(&self, target: &TargetId) -> Option<&Authorities> {
        self.authorities.get(target)
    }
}
