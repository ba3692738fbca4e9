//! Which headers cross the gateway, in both directions.

mod identity;

use http::header::{CONNECTION, HeaderMap, HeaderName};
use http::request::Parts;

use self::identity::tells_of_client;
use super::trace::{TRACEPARENT, TRACESTATE, Trace};

/// Most headers of a request, and most bytes of its whole head.
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

/// What SDKs say and providers read, of the names that do not begin with `x-`.
const CROSSING: &[&str] = &[
    "accept",
    "accept-language",
    "user-agent",
    "idempotency-key",
    "openai-beta",
    "anthropic-version",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "tracestate",
];

/// Names that would be held back for a word in them.
const CROSSING_ALL_THE_SAME: &[&str] = &["x-client-request-id", "x-ms-client-request-id"];

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

/// True when a request head is over the limits. Its bytes are those of HTTP/1.1, whatever was spoken.
pub(super) fn are_too_large(head: &Parts) -> bool {
    let lines = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let authority = match (head.uri.scheme(), head.uri.authority()) {
        (Some(scheme), Some(authority)) => scheme.as_str().len() + 3 + authority.as_str().len(),
        (_, authority) => authority.map_or(0, |authority| authority.as_str().len()),
    };
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    let request_line = head.method.as_str().len() + authority + path + "  HTTP/1.1\r\n".len();
    head.headers.len() > MAX_HEADERS || request_line + lines.sum::<usize>() + 2 > MAX_HEADER_BYTES
}

/// Room for what is added to the headers that cross.
const ROOM: usize = 8;

/// What of a client's headers a provider may see, and where in the trace its call is.
pub(super) fn for_provider(headers: &HeaderMap, trace: Trace) -> HeaderMap {
    let ends_here = named_by_connection(headers);
    let mut crossing = HeaderMap::with_capacity(headers.len() + ROOM);
    for (name, value) in headers {
        let crosses = may_cross(name.as_str())
            && !ends_here.contains(name)
            && (*name != TRACESTATE || trace.is_continued);
        if crosses {
            crossing.append(name.clone(), value.clone());
        }
    }
    if let Some(parent) = trace.header() {
        crossing.insert(TRACEPARENT, parent);
    }
    crossing
}

/// Of the many names that proxies and identity providers have for a client, none is known for good. So no name crosses
/// but those that are known, and of what anybody may make up (`x-…`) those that have no word of identity in them.
fn may_cross(name: &str) -> bool {
    let Some(own) = name.strip_prefix("x-") else { return CROSSING.contains(&name) };
    own.starts_with("stainless-")
        || CROSSING_ALL_THE_SAME.contains(&name)
        || !own.split(['-', '_', '.']).any(tells_of_client)
}

/// Takes out headers by their lower-case names.
pub(super) fn remove<'n>(headers: &mut HeaderMap, names: impl Iterator<Item = &'n str>) {
    for name in names {
        headers.remove(name);
    }
}

/// What of a provider's headers a client may see.
pub(super) fn for_client(headers: HeaderMap) -> HeaderMap {
    let ends_here = named_by_connection(&headers);
    let mut crossing = HeaderMap::with_capacity(headers.len() + ROOM);
    let mut last = None;
    for (name, value) in headers {
        // Further values of one name come without it.
        if let Some(name) = name {
            let text = name.as_str();
            let stays = HOP_BY_HOP.contains(&text)
                || PROVIDER_IDENTITY.contains(&text)
                || has_prefix(text, &["x-kt-", "access-control-"])
                || ends_here.contains(&name);
            last = (!stays).then_some(name);
        }
        if let Some(name) = &last {
            crossing.append(name, value);
        }
    }
    crossing
}

/// `connection` may name further headers that end at this hop.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    // What every client says: both are hop-by-hop anyway.
    let others =
        names.filter(|name| !name.eq_ignore_ascii_case("keep-alive") && !name.eq_ignore_ascii_case("close"));
    others.filter_map(|name| name.parse().ok()).collect()
}

fn has_prefix(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
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
        let crossing = for_provider(&headers, Trace::of(&headers));
        assert_eq!(names(&crossing), ["accept", "traceparent", "x-stainless-lang"]);
    }

    #[test]
    fn words_of_identity_are_found() {
        for name in ["x-account-id", "x-username", "x-apikey", "x-xsrf", "x-addr", "x-url", "x-kt-anything"] {
            assert!(!may_cross(name), "{name}");
        }
    }

    #[test]
    fn what_says_who_the_client_is_stays_and_what_sdks_say_crosses() {
        let stay = [
            "true-client-ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-forwarded",
            "x-original-forwarded-for",
            "x-amz-security-token",
            "x-amzn-oidc-data",
            "x-goog-iap-jwt-assertion",
            "x-goog-authenticated-user-email",
            "x-ms-client-principal",
            "x-ms-token-aad-access-token",
            "x-access-token",
            "x-csrf-token",
            "x-xsrf-token",
            "x-user-id",
            "x-userid",
            "x-consumer-username",
            "x-auth-request-email",
            "x-session",
            "x-apikey",
            "x-secret",
            "x-envoy-external-address",
            "x-ssl-client-cert",
            "x-remote-user",
            "remote-user",
            "baggage",
            "ssl-client-cert",
            "fastly-client-ip",
            "client-ip",
            "from",
            "range",
            "if-none-match",
        ];
        let cross = [
            "accept",
            "accept-language",
            "user-agent",
            "idempotency-key",
            "openai-beta",
            "anthropic-version",
            "anthropic-beta",
            "anthropic-dangerous-direct-browser-access",
            "x-request-id",
            "x-client-request-id",
            "x-ms-client-request-id",
            "x-stainless-runtime",
            "x-stainless-retry-count",
            "x-title",
            "x-fake",
        ];
        for name in stay {
            let headers = map(&[(name, "1")]);
            assert_eq!(names(&for_provider(&headers, Trace::of(&headers))), ["traceparent"]);
        }
        for name in cross {
            let headers = map(&[(name, "1")]);
            assert!(for_provider(&headers, Trace::of(&headers)).contains_key(name), "{name}");
        }
    }

    #[test]
    fn the_state_of_a_trace_goes_with_it_and_with_no_other() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (parent, crosses) in [(good, true), ("00-4bf92f", false)] {
            let headers = map(&[("traceparent", parent), ("tracestate", "vendor=1")]);
            let crossing = for_provider(&headers, Trace::of(&headers));
            assert_eq!(crossing.contains_key("tracestate"), crosses);
            let told = crossing["traceparent"].to_str().unwrap();
            assert_eq!(told.starts_with(&good[..36]), crosses, "{told}");
            assert_ne!(told, parent);
        }
    }

    #[test]
    fn every_value_of_a_name_crosses_or_none() {
        let mut headers = map(&[("x-many", "1"), ("set-cookie", "a=1"), ("x-last", "1")]);
        headers.append("x-many", "2".parse().unwrap());
        headers.append("set-cookie", "b=1".parse().unwrap());
        let crossing = for_client(headers.clone());
        assert_eq!((crossing.len(), crossing.get_all("x-many").iter().count()), (3, 2));
        assert_eq!(for_provider(&headers, Trace::of(&headers)).get_all("x-many").iter().count(), 2);
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
        let of = |target: &str, value: usize| {
            let request = http::Request::get(target).header("a", "x".repeat(value));
            request.body(()).unwrap().into_parts().0
        };
        // GET / HTTP/1.1, `a: `, the line's end and the last one
        let rest = 16 + 5 + 2;
        assert!(!are_too_large(&of("/", 32 * 1024 - rest)));
        assert!(are_too_large(&of("/", 32 * 1024 - rest + 1)));
        assert!(are_too_large(&of("/b", 32 * 1024 - rest)));
        assert!(!are_too_large(&of("http://h/", 32 * 1024 - rest - 8)));
        assert!(are_too_large(&of("http://h/", 32 * 1024 - rest - 7)));
    }
}
