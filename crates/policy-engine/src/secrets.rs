//! Secret values by target: they are handed in, never looked up here, never printed, wiped when dropped.

use std::collections::BTreeMap;
use std::fmt;

use policy_config::schema::TargetId;
use zeroize::Zeroizing;

/// A provider key. It has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// The keys resolved on this host, by target. A target that needs a key and has none here is down.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeMap<TargetId, Secret>);

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
        self.0.insert(target, secret);
    }

    pub fn get(&self, target: &TargetId) -> Option<&Secret> {
        self.0.get(target)
    }
}
