//! Which headers cross the gateway, in both directions.

use http::header::{CONNECTION, HeaderMap, HeaderName};

/// Most headers of a request, and most bytes of names and values together.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Meant for the next hop only (RFC 9110 §7.6.1), with what older software adds to them.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
];

/// Who the client is: its business with the gateway, never a provider's.
const CLIENT_IDENTITY: &[&str] = &[
    "authorization",
    "cookie",
    "forwarded",
    "via",
    "origin",
    "referer",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-auth-token",
    "x-real-ip",
    "openai-organization",
    "openai-project",
];

/// Made anew for the provider call, because the body may have changed.
const BODY_FRAMING: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "expect",
    "content-md5",
    "content-digest",
    "digest",
    "signature",
    "signature-input",
];

/// What a provider says about itself, its connection or our account with it.
const PROVIDER_IDENTITY: &[&str] = &[
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "server",
    "via",
    "date",
    "content-length",
    "www-authenticate",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "content-md5",
    "content-digest",
    "digest",
];

/// True when a request head is over the limits.
pub(super) fn are_too_large(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES
}

/// What of a client's headers a provider may see.
pub(super) fn for_provider(mut headers: HeaderMap) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    remove_all(&mut headers, CLIENT_IDENTITY);
    remove_all(&mut headers, BODY_FRAMING);
    remove_prefixed(&mut headers, &["x-kt-", "x-forwarded-", "cf-", "sec-", "proxy-"]);
    headers
}

/// What of a provider's headers a client may see.
pub(super) fn for_client(mut headers: HeaderMap) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    remove_all(&mut headers, PROVIDER_IDENTITY);
    remove_prefixed(&mut headers, &["x-kt-", "access-control-"]);
    headers
}

/// `connection` may name further headers that end at this hop.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
    remove_all(headers, HOP_BY_HOP);
}

fn remove_all(headers: &mut HeaderMap, names: &[&str]) {
    for name in names {
        headers.remove(*name);
    }
}

fn remove_prefixed(headers: &mut HeaderMap, prefixes: &[&str]) {
    let hit = |name: &&HeaderName| prefixes.iter().any(|prefix| name.as_str().starts_with(prefix));
    let found: Vec<HeaderName> = headers.keys().filter(hit).cloned().collect();
    for name in &found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_provider_sees_neither_the_client_nor_its_hop() {
        let headers = map(&[
            ("authorization", "Bearer client"),
            ("x-api-key", "client"),
            ("cookie", "session=1"),
            ("connection", "keep-alive, X-Private"),
            ("x-private", "1"),
            ("x-kt-config-version", "999"),
            ("x-forwarded-for", "10.0.0.1"),
            ("te", "trailers"),
            ("content-length", "3"),
            ("x-stainless-lang", "python"),
            ("accept", "application/json"),
        ]);
        assert_eq!(names(&for_provider(headers)), ["accept", "x-stainless-lang"]);
    }

    #[test]
    fn a_client_does_not_see_what_only_the_gateway_may_say() {
        let headers = map(&[
            ("x-kt-config-version", "6.6.6"),
            ("set-cookie", "a=b"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-type", "application/json"),
            ("x-request-id", "req_1"),
            ("retry-after", "3"),
        ]);
        assert_eq!(names(&for_client(headers)), ["content-type", "retry-after", "x-request-id"]);
    }

    #[test]
    fn the_limits_count_headers_and_bytes() {
        assert!(!are_too_large(&map(&[("a", &"x".repeat(32 * 1024 - 5))])));
        assert!(are_too_large(&map(&[("a", &"x".repeat(32 * 1024 - 4))])));
    }
}
