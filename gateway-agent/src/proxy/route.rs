//! Which path is which route: compared byte for byte, so that no other spelling reaches a policy's
//! blind side. Whatever is not here is one and the same 404.

use http::Method;
use policy_engine::Endpoint;

/// What the data plane answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// One that a provider answers.
    Traffic(Endpoint),
    Models,
    /// One of them, by the name behind the path.
    Model,
    Healthz,
    Readyz,
}

// === impl Route ===

impl Route {
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" => Some(Self::Traffic(Endpoint::ChatCompletions)),
            "/v1/completions" => Some(Self::Traffic(Endpoint::Completions)),
            "/v1/embeddings" => Some(Self::Traffic(Endpoint::Embeddings)),
            "/v1/responses" => Some(Self::Traffic(Endpoint::Responses)),
            "/v1/messages" => Some(Self::Traffic(Endpoint::Messages)),
            "/v1/models" => Some(Self::Models),
            "/healthz" => Some(Self::Healthz),
            "/readyz" => Some(Self::Readyz),
            _ => model_of(path).map(|_| Self::Model),
        }
    }

    /// Whose bodies the client reads.
    pub(super) const fn endpoint(self) -> Option<Endpoint> {
        match self {
            Self::Traffic(endpoint) => Some(endpoint),
            Self::Models | Self::Model | Self::Healthz | Self::Readyz => None,
        }
    }

    /// As decision events name it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Traffic(endpoint) => endpoint.path(),
            Self::Models => "/v1/models",
            Self::Model => "/v1/models/{model}",
            Self::Healthz => "/healthz",
            Self::Readyz => "/readyz",
        }
    }

    /// Methods the route answers, as `allow` lists them.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Traffic(_) => "POST",
            Self::Models | Self::Model | Self::Healthz | Self::Readyz => "GET, HEAD",
        }
    }

    pub(super) fn allows(self, method: &Method) -> bool {
        match self {
            Self::Traffic(_) => method == Method::POST,
            Self::Models | Self::Model | Self::Healthz | Self::Readyz => {
                method == Method::GET || method == Method::HEAD
            }
        }
    }

    /// Probes are answered always and are no decision.
    pub(super) const fn is_probe(self) -> bool {
        matches!(self, Self::Healthz | Self::Readyz)
    }
}

/// The model that a path asks about. Only plain names: whatever could be another spelling of a path is none.
pub(super) fn model_of(path: &str) -> Option<&str> {
    let model = path.strip_prefix("/v1/models/")?;
    let is_plain = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-' | b'@');
        part.starts_with(|first: char| first.is_ascii_alphanumeric()) && part.bytes().all(allowed)
    };
    model.split('/').all(is_plain).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_its_path() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Route::of(endpoint.path()), Some(Route::Traffic(endpoint)));
        }
        assert_eq!(Route::of("/v1/models/org/m-1.2:free"), Some(Route::Model));
        assert_eq!(model_of("/v1/models/org/m-1.2:free"), Some("org/m-1.2:free"));
    }

    #[test]
    fn no_other_spelling_is_a_route() {
        assert_eq!(Route::of("/v1/chat/completions"), Some(Route::Traffic(Endpoint::ChatCompletions)));
        for path in [
            "//v1/chat/completions",
            "/v1//chat/completions",
            "/v1/chat/completions/",
            "/v1/chat/completions;x",
            "/v1/chat/%63ompletions",
            "/v1/%2e%2e/v1/chat/completions",
            "/V1/chat/completions",
            "/v1/../v1/chat/completions",
            "/v1/models/",
            "/v1/models/../chat/completions",
            "/v1/models//m",
            "/v1/models/m%2Fn",
            "/v1/models/m/",
            "/v1/messages/",
            "/v1/messages/count_tokens",
            "/_admin/reload",
            "*",
            "",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
