//! Bearer tokens: made, parsed, hashed and compared here and nowhere else; the text is kept by its bearer only.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// `kt_` and 32 random bytes in base64url; told once, never shown.
#[derive(Clone)]
pub struct Credential(String);

/// SHA-256 of a credential. The credential has 256 random bits, so a slow hash would add nothing.
#[derive(Clone, Copy)]
pub struct CredentialHash([u8; 32]);

const PREFIX: &str = "kt_";
const RANDOM_BYTES: usize = 32;

// === impl Credential ===

impl Credential {
    /// A new one from the system's random source.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn fresh() -> io::Result<Self> {
        let mut bytes = [0_u8; RANDOM_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// `None` for text that cannot be a credential.
    pub fn parse(text: &str) -> Option<Self> {
        let random = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (random.len() == RANDOM_BYTES).then(|| Self(text.to_owned()))
    }

    pub fn hash(&self) -> CredentialHash {
        CredentialHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The text itself: for the file and the one answer that tell it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

// === impl CredentialHash ===

impl CredentialHash {
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ones_differ_parse_and_are_not_shown() {
        let (one, two) = (Credential::fresh().unwrap(), Credential::fresh().unwrap());
        assert!(!one.hash().matches(&two.hash()));
        assert!(Credential::parse(one.expose()).unwrap().hash().matches(&one.hash()));
        assert!(!format!("{one:?}{:?}", one.hash()).contains(one.expose()));
    }

    #[test]
    fn other_text_is_none() {
        for text in ["", "kt_", "secret", "kt_short", &format!("kt_{}", "ä".repeat(22)), &"k".repeat(70_000)]
        {
            assert!(Credential::parse(text).is_none(), "{}", text.len());
        }
    }
}
