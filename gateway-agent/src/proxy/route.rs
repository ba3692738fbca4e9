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
    Healthz,
    Readyz,
}

// === impl Route ===

impl Route {
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" => Some(Self::Traffic(Endpoint::ChatCompletions)),
            "/v1/models" => Some(Self::Models),
            "/healthz" => Some(Self::Healthz),
            "/readyz" => Some(Self::Readyz),
            _ => None,
        }
    }

    /// As decision events name it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Traffic(endpoint) => endpoint.path(),
            Self::Models => "/v1/models",
            Self::Healthz => "/healthz",
            Self::Readyz => "/readyz",
        }
    }

    /// Methods the route answers, as `allow` lists them.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Traffic(_) => "POST",
            Self::Models | Self::Healthz | Self::Readyz => "GET, HEAD",
        }
    }

    pub(super) fn allows(self, method: &Method) -> bool {
        match self {
            Self::Traffic(_) => method == Method::POST,
            Self::Models | Self::Healthz | Self::Readyz => method == Method::GET || method == Method::HEAD,
        }
    }

    /// Probes are answered always and are no decision.
    pub(super) const fn is_probe(self) -> bool {
        matches!(self, Self::Healthz | Self::Readyz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "/_admin/reload",
            "*",
            "",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
