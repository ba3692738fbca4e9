//! A target with its key: what it serves, at which path, and whether it can be called at all.

use std::time::Duration;

use policy_config::schema::{Provider, ProviderTarget, SecretKeyRef, TargetId};

use crate::endpoint::Endpoint;
use crate::secrets::{Authorities, Secret, Secrets};

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
    pub timeouts: TargetTimeouts,
    /// Its share under weighted routing.
    pub weight: u32,
    deployment: Option<String>,
    api_version: Option<String>,
    key: Key,
    authorities: Option<Authorities>,
    missing_ca: Option<SecretKeyRef>,
}

/// The times of one call to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetTimeouts {
    /// From its beginning to the last byte of an answer that is no stream.
    pub whole: Duration,
    /// Name, TCP and TLS of a new connection.
    pub connect: Duration,
    /// To the head of the response.
    pub first_byte: Duration,
    /// Longest silence within a response.
    pub idle: Duration,
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

/// What a deployment at Azure is called with where the pack does not say: the last version that was generally available
/// before the v1 API.
const AZURE_API_VERSION: &str = "2024-10-21";

// === impl Target ===

impl Target {
    pub fn api_key_value(&self) -> KeyState<'_> {
        match &self.key {
            Key::NotNeeded => KeyState::NotNeeded,
            Key::Ready(secret) => KeyState::Ready(secret),
            Key::Missing(reference) => KeyState::Missing(reference),
        }
    }

    /// What this host lacks to call it: its key, or the certificates that it is to be checked against.
    pub fn lacks(&self) -> Option<&SecretKeyRef> {
        match &self.key {
            Key::Missing(reference) => Some(reference),
            Key::NotNeeded | Key::Ready(_) => self.missing_ca.as_ref(),
        }
    }

    /// Whom to trust in place of the host's store.
    pub fn authorities(&self) -> Option<&Authorities> {
        self.authorities.as_ref()
    }

    /// Whether the provider has this operation.
    pub fn answers(&self, endpoint: Endpoint) -> bool {
        match self.provider {
            Provider::Anthropic => endpoint == Endpoint::Messages,
            Provider::OpenAi | Provider::OpenAiCompatible => endpoint != Endpoint::Messages,
            // the paths of deployments never got the newer operations
            Provider::AzureOpenAi if self.deployment.is_some() => {
                matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings)
            }
            Provider::AzureOpenAi => endpoint != Endpoint::Messages,
        }
    }

    /// The whole URL of an operation; `None` where the provider does not have it.
    pub fn url(&self, endpoint: Endpoint) -> Option<String> {
        if !self.answers(endpoint) {
            return None;
        }
        let (base, path) = (&self.base_url, endpoint.path());
        Some(match (self.provider, &self.deployment, &self.api_version) {
            (Provider::AzureOpenAi, Some(deployment), version) => {
                let operation = path.strip_prefix("/v1").unwrap_or(path);
                let version = version.as_deref().unwrap_or(AZURE_API_VERSION);
                format!("{base}/openai/deployments/{deployment}{operation}?api-version={version}")
            }
            (Provider::AzureOpenAi, None, Some(version)) => {
                format!("{base}/openai{path}?api-version={version}")
            }
            (Provider::AzureOpenAi, None, None) => format!("{base}/openai{path}"),
            _ => format!("{base}{path}"),
        })
    }

    pub(crate) fn compile(target: &ProviderTarget, secrets: &Secrets) -> Self {
        let key = match (&target.secret_key_ref, secrets.get(&target.id)) {
            (None, _) => Key::NotNeeded,
            (Some(_), Some(secret)) => Key::Ready(secret.prefixed(&target.api_key_prefix)),
            (Some(reference), None) => Key::Missing(reference.clone()),
        };
        let authorities = target.ca_file.as_ref().and_then(|_| secrets.authorities(&target.id)).cloned();
        let missing_ca = target.ca_file.clone().filter(|_| authorities.is_none()).map(SecretKeyRef::File);
        Self {
            id: target.id.clone(),
            provider: target.provider,
            model: target.model.clone(),
            base_url: target.base_url.clone(),
            api_key_header: target.api_key_header.clone(),
            timeouts: TargetTimeouts {
                whole: target.timeout,
                connect: target.connect_timeout,
                first_byte: target.first_byte_timeout,
                idle: target.idle_timeout,
            },
            weight: target.weight,
            deployment: target.deployment.clone(),
            api_version: target.api_version.clone(),
            key,
            authorities,
            missing_ca,
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
    fn each_provider_has_its_operations_at_its_paths() {
        use Endpoint::{ChatCompletions, Completions, Embeddings, Messages, Responses};
        let url = |edit: &dyn Fn(&mut ProviderTarget), provider, endpoint| {
            let mut target = ProviderTarget::new("t", provider, "m", "https://h.example");
            edit(&mut target);
            Target::compile(&target, &Secrets::new()).url(endpoint)
        };
        let plain = |_: &mut ProviderTarget| {};
        let deployed = |target: &mut ProviderTarget| target.deployment = Some("d-1".to_owned());
        let versioned = |target: &mut ProviderTarget| target.api_version = Some("preview".to_owned());
        let both = |target: &mut ProviderTarget| {
            deployed(target);
            versioned(target);
        };
        type Edit<'a> = &'a dyn Fn(&mut ProviderTarget);
        let rows: [(Edit<'_>, Provider, Endpoint, Option<&str>); 14] = [
            (&plain, Provider::OpenAi, ChatCompletions, Some("/v1/chat/completions")),
            (&plain, Provider::OpenAi, Responses, Some("/v1/responses")),
            (&plain, Provider::OpenAi, Messages, None),
            (&plain, Provider::OpenAiCompatible, Embeddings, Some("/v1/embeddings")),
            (&plain, Provider::OpenAiCompatible, Messages, None),
            (&plain, Provider::Anthropic, Messages, Some("/v1/messages")),
            (&plain, Provider::Anthropic, ChatCompletions, None),
            (&plain, Provider::AzureOpenAi, Responses, Some("/openai/v1/responses")),
            (
                &versioned,
                Provider::AzureOpenAi,
                Embeddings,
                Some("/openai/v1/embeddings?api-version=preview"),
            ),
            (&plain, Provider::AzureOpenAi, Messages, None),
            (
                &deployed,
                Provider::AzureOpenAi,
                ChatCompletions,
                Some("/openai/deployments/d-1/chat/completions?api-version=2024-10-21"),
            ),
            (
                &both,
                Provider::AzureOpenAi,
                Completions,
                Some("/openai/deployments/d-1/completions?api-version=preview"),
            ),
            (&deployed, Provider::AzureOpenAi, Responses, None),
            (&deployed, Provider::AzureOpenAi, Messages, None),
        ];
        for (edit, provider, endpoint, expected) in rows {
            let expected = expected.map(|path| format!("https://h.example{path}"));
            assert_eq!(url(edit, provider, endpoint), expected, "{provider:?} {endpoint:?}");
        }
    }

    #[test]
    fn a_target_that_lacks_its_certificates_is_down() {
        let mut config = ProviderTarget::new("t", Provider::OpenAi, "m", "https://h.example");
        config.ca_file = Some("ca.pem".to_owned());
        let mut secrets = Secrets::new();
        let lacks = |secrets: &Secrets| Target::compile(&config, secrets).lacks().cloned();
        assert_eq!(lacks(&secrets), Some(SecretKeyRef::File("ca.pem".to_owned())));
        secrets.insert_authorities(config.id.clone(), Authorities(vec![vec![1]].into()));
        assert_eq!(lacks(&secrets), None);
        config.secret_key_ref = Some(SecretKeyRef::Env("A".to_owned()));
        assert_eq!(Target::compile(&config, &secrets).lacks(), Some(&SecretKeyRef::Env("A".to_owned())));
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("sk-canary".to_owned()).prefixed("Bearer ");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "Bearer sk-canary");
    }
}
