//! Who may meet the door on the data port, where anybody may knock: a program of this host that knows the token. Each
//! mark of a browser, or of a proxy in between, is enough to be nobody.
//!
//! Asked of every request for a path that traffic does not know, before its path is compared with a route of ours: an
//! answer tells nothing of which paths there are, nor does the time it took.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{AUTHORIZATION, CONTENT_TYPE, FORWARDED, HOST, ORIGIN, VIA};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::token::AdminToken;

/// Beginnings of headers that browsers or proxies add.
const STRANGE: [&str; 2] = ["sec-", "x-forwarded-"];
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

pub(super) fn admits(token: &AdminToken, peer: IpAddr, head: &Parts) -> bool {
    let headers = &head.headers;
    // No short way out before the token was compared.
    let knows_token = only(headers, &AUTHORIZATION)
        .and_then(|value| bearer(value.as_bytes()))
        .is_some_and(|text| token.is(text));
    knows_token
        & peer.to_canonical().is_loopback()
        & names_loopback(head)
        & !is_of_browser_or_proxy(headers)
        & (head.method != Method::POST || is_json(headers))
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, text) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(text)
}

fn is_of_browser_or_proxy(headers: &HeaderMap) -> bool {
    [ORIGIN, FORWARDED, VIA, REAL_IP].iter().any(|name| headers.contains_key(name))
        || headers.keys().any(|name| STRANGE.iter().any(|beginning| name.as_str().starts_with(beginning)))
}

/// Also for HTTP/2, which names the host beside its headers.
fn names_loopback(head: &Parts) -> bool {
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = match head.headers.contains_key(HOST) {
        true => only(&head.headers, &HOST).map(HeaderValue::as_bytes),
        false => authority,
    };
    host.is_some_and(is_loopback) && authority.is_none_or(is_loopback)
}

/// `localhost`, `127.x.x.x` or `[::1]`, with any port or none.
fn is_loopback(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (name, port) = match host.strip_prefix('[') {
        Some(inside) => {
            let Some((name, rest)) = inside.split_once(']') else { return false };
            if !name.parse::<Ipv6Addr>().is_ok_and(|address| address == Ipv6Addr::LOCALHOST) {
                return false;
            }
            ("localhost", rest)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        && (name.eq_ignore_ascii_case("localhost")
            || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()))
}

fn is_json(headers: &HeaderMap) -> bool {
    only(headers, &CONTENT_TYPE).is_some_and(says_json)
}

/// `application/json`, with parameters or without.
pub(super) fn says_json(value: &HeaderValue) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback() {
        for host in [
            "localhost",
            "LocalHost:41002",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.255.3.4:65535",
            "[::1]",
            "[::1]:41002",
            "[0:0:0:0:0:0:0:1]",
        ] {
            assert!(is_loopback(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            "evil.com",
            "localhost.evil.com",
            "evil.com:127",
            "localhost.",
            "localhost:",
            "localhost:x",
            "localhost:65536",
            "localhost:+80",
            "localhost:80:80",
            "user@localhost",
            "localhost@evil.com",
            "127.1",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "0.0.0.0",
            "128.0.0.1",
            "10.0.0.1",
            "127.0.0.1.evil.com",
            "::1",
            "[::1",
            "[::1]x",
            "[::1].evil.com",
            "[::2]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::1%lo]",
            " localhost",
            "localhost ",
            "localhost, evil.com",
            "\u{ff4c}ocalhost",
        ] {
            assert!(!is_loopback(host.as_bytes()), "{host}");
        }
        assert!(!is_loopback(b"\xff"));
    }
}
