//! Which path is which route: compared byte for byte, so that no other spelling reaches a policy's
//! blind side. Whatever is not here is one and the same 404.

use std::borrow::Cow;

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

/// The model that a path asks about. Its name is the one thing here that may be spelled in several ways, because clients
/// encode what is special in a path; whatever would be another path is none.
pub(super) fn model_of(path: &str) -> Option<Cow<'_, str>> {
    let model = decoded(path.strip_prefix("/v1/models/")?)?;
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    model.split('/').all(is_name).then_some(model)
}

/// `None` where a `%` is followed by no byte, or the bytes are no text.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2)?;
        if !code.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
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
        for (spelled, model) in [
            ("org/m-1.2:free", "org/m-1.2:free"),
            ("gpt-*", "gpt-*"),
            ("gpt-%2a", "gpt-*"),
            ("raw%2Fx", "raw/x"),
            ("a%20b", "a b"),
            ("%C3%A4", "\u{e4}"),
            ("m;x", "m;x"),
        ] {
            assert_eq!(model_of(&format!("/v1/models/{spelled}")).as_deref(), Some(model));
        }
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
            "/v1/models/%2e%2e/chat/completions",
            "/v1/models/m%2F..%2fn",
            "/v1/models/m%2F",
            "/v1/models/m%00",
            "/v1/models/m%0a",
            "/v1/models/m%zz",
            "/v1/models/m%+1",
            "/v1/models/m%2",
            "/v1/models/m%",
            "/v1/models/%ff",
            "/v1/model%73/m",
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
