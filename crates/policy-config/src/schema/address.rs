//! Where a target may point: the shape of `base_url`, and the addresses that no gateway may call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

const MAX_URL: usize = 2048;
/// Names by which clouds reach their metadata service.
const METADATA_NAMES: &[&str] = &[
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "metadata.packet.net",
    "instance-data",
    "instance-data.ec2.internal",
];

/// A `base_url` that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// Without a trailing `/` or `/v1`.
    pub(crate) normalised: String,
    pub(crate) plain_http_to_public_host: bool,
}

/// Why a `base_url` is refused. Holds no part of it but the host: the rest may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) is_metadata: bool,
    pub(crate) message: String,
    pub(crate) suggestion: &'static str,
}

// === impl BaseUrl ===

impl BaseUrl {
    /// Without this end of the path, if it has it.
    pub(crate) fn without_end(mut self, end: &str) -> Self {
        if let Some(rest) = self.normalised.strip_suffix(end) {
            self.normalised = rest.trim_end_matches('/').to_owned();
        }
        self
    }
}

/// True for addresses of cloud metadata services, in every form in which IPv6 can carry them. Link-local
/// networks count as a whole: nothing but such services is called there by a fixed address.
///
/// The gateway asks again for the address it is about to connect to, because a name may resolve to one.
pub fn is_metadata_ip(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_metadata_v4(v4),
        IpAddr::V6(v6) => is_metadata_v6(v6),
    }
}

/// True for names of cloud metadata services, in any case, with or without a trailing dot.
pub fn is_metadata_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    METADATA_NAMES.contains(&name.as_str()) || name.ends_with(".metadata.google.internal")
}

pub(crate) fn check_base_url(text: &str) -> Result<BaseUrl, Problem> {
    const EXAMPLE: &str = "write a URL such as https://api.openai.com";
    let problem =
        |message: &str, suggestion| Problem { is_metadata: false, message: message.to_owned(), suggestion };
    if text.is_empty() || text.len() > MAX_URL {
        return Err(problem("`base_url` must have 1 to 2048 bytes", EXAMPLE));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(problem("`base_url` holds a blank, a backslash or a control character", "remove it"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(problem("`base_url` is no absolute http or https URL", EXAMPLE));
    };
    // The URL parser would skip further slashes and take the path for a host.
    if rest.is_empty() || rest.starts_with('/') {
        return Err(problem("`base_url` has no host", EXAMPLE));
    }
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(problem("`base_url` must begin with https:// or http://", EXAMPLE));
    }
    let url =
        Url::parse(text).map_err(|error| problem(&format!("`base_url` is no URL: {error}"), EXAMPLE))?;
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(problem(
            "`base_url` holds a user name or password",
            "remove it; keys belong into secret_key_ref",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("`base_url` holds a query (`?`) or fragment (`#`)", "end the URL before it"));
    }
    let Some(host) = url.host() else {
        return Err(problem("`base_url` has no host", EXAMPLE));
    };
    if url.port() == Some(0) {
        return Err(problem("`base_url` has port 0", EXAMPLE));
    }
    if is_metadata_host(&host) {
        return Err(Problem {
            is_metadata: true,
            message: format!(
                "`base_url` points at the cloud metadata address {host}, which is refused always"
            ),
            suggestion: "name the provider's own host",
        });
    }
    let trimmed = url.as_str().trim_end_matches('/');
    let normalised = trimmed.strip_suffix("/v1").unwrap_or(trimmed).trim_end_matches('/').to_owned();
    Ok(BaseUrl { normalised, plain_http_to_public_host: url.scheme() == "http" && is_public(&host) })
}

fn is_metadata_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            // A trailing dot hides a number from the URL parser on some inputs; look again without it.
            let bare = name.trim_end_matches('.');
            is_metadata_name(bare) || bare.parse().is_ok_and(is_metadata_ip)
        }
        Host::Ipv4(v4) => is_metadata_v4(*v4),
        Host::Ipv6(v6) => is_metadata_v6(*v6),
    }
}

fn is_metadata_v4(address: Ipv4Addr) -> bool {
    let alibaba = Ipv4Addr::new(100, 100, 100, 200);
    let azure = Ipv4Addr::new(168, 63, 129, 16);
    let oracle = Ipv4Addr::new(192, 0, 0, 192);
    address.is_link_local() || [alibaba, azure, oracle].contains(&address)
}

fn is_metadata_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [first, second] = high.to_be_bytes();
        let [third, fourth] = low.to_be_bytes();
        is_metadata_v4(Ipv4Addr::new(first, second, third, fourth))
    };
    let v4_at_the_end = matches!(
        [a, b, c, d, e, f],
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0]
    ) || (a, b, c) == (0x64, 0xff9b, 1);
    let six_to_four = a == 0x2002;
    let aws = (a, b) == (0xfd00, 0x0ec2);
    let google = (a, b) == (0xfd20, 0x00ce);
    let oracle = (a, b) == (0xfd00, 0x00c1);
    address.is_unicast_link_local()
        || aws
        || google
        || oracle
        || (v4_at_the_end && embedded(g, h))
        || (six_to_four && embedded(b, c))
}

/// A host that is not plainly on this machine or in a private network.
fn is_public(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(v4) => !(v4.is_loopback() || v4.is_private() || v4.is_unspecified()),
        Host::Ipv6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(&Host::Ipv4(v4)),
            None => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unspecified()),
        },
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let private =
                [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc", ".cluster.local"];
            name.contains('.') && !private.iter().any(|end| name.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests;
