//! Where a model's requests go: targets with their keys, and the choice among them.

use std::time::Duration;

use policy_config::schema::{Provider, ProviderTarget, SecretKeyRef, TargetId};

use crate::secrets::{Secret, Secrets};

/// A provider endpoint, ready to be called.
#[derive(Debug, Clone)]
pub struct Target {
    pub id: TargetId,
    pub provider: Provider,
    /// An exact model name, or a glob with `*`.
    pub model: String,
    /// Scheme, host, port and path, without a trailing `/` or `/v1`.
    pub base_url: String,
    /// Lower-case header name.
    pub api_key_header: String,
    /// Of a whole request.
    pub timeout: Duration,
    key: Key,
}

/// Whether a target's key is at hand.
#[derive(Debug)]
pub enum KeyState<'a> {
    /// The target asks for none.
    NotNeeded,
    /// The value of [`Target::api_key_header`], prefix included.
    Ready(&'a Secret),
    /// This host does not have it: the target is down.
    Missing(&'a SecretKeyRef),
}

#[derive(Debug, Clone)]
enum Key {
    NotNeeded,
    Ready(Secret),
    Missing(SecretKeyRef),
}

// === impl Target ===

impl Target {
    pub fn api_key_value(&self) -> KeyState<'_> {
        match &self.key {
            Key::NotNeeded => KeyState::NotNeeded,
            Key::Ready(secret) => KeyState::Ready(secret),
            Key::Missing(reference) => KeyState::Missing(reference),
        }
    }

    pub(crate) fn compile(target: &ProviderTarget, secrets: &Secrets) -> Self {
        let key = match (&target.secret_key_ref, secrets.get(&target.id)) {
            (None, _) => Key::NotNeeded,
            (Some(_), Some(secret)) => Key::Ready(secret.prefixed(&target.api_key_prefix)),
            (Some(reference), None) => Key::Missing(reference.clone()),
        };
        Self {
            id: target.id.clone(),
            provider: target.provider,
            model: target.model.clone(),
            base_url: target.base_url.clone(),
            api_key_header: target.api_key_header.clone(),
            timeout: target.timeout,
            key,
        }
    }

    pub(crate) fn serves(&self, model: &str) -> bool {
        glob_matches(self.model.as_bytes(), model.as_bytes())
    }
}

/// `*` stands for any run of bytes. Backtracks to the last star only, so the cost is bounded by the
/// product of the two lengths.
pub(crate) fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut last_star = None;
    while let Some(&byte) = text.get(at_text) {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                last_star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(&wanted) if wanted == byte => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((star, tried)) = last_star else { return false };
                last_star = Some((star, tried + 1));
                at_pattern = star + 1;
                at_text = tried + 1;
            }
        }
    }
    pattern.iter().skip(at_pattern).all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, model, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-*", "gpt-5-mini", true),
            ("gpt-*", "gpt-", true),
            ("*", "", true),
            ("*-mini", "gpt-mini-mini", true),
            ("*-mini", "gpt-mini-x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a**c", "abc", true),
            ("gpt.5", "gptx5", false),
            ("", "x", false),
        ] {
            assert_eq!(glob_matches(pattern.as_bytes(), model.as_bytes()), expected, "{pattern} {model}");
        }
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("sk-canary".to_owned()).prefixed("Bearer ");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "Bearer sk-canary");
    }
}
