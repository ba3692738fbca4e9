//! Text from the command line to values: addresses, sizes, labels, globs, the control plane's URL.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fleet_core::gateway::Labels;
use url::{Host, Url};

use super::{SettingsError, invalid};

/// Names of variables that a pack may ask for; `*` stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretGlob(String);

const SMALLEST_BODY: usize = 1024;
const LARGEST_BODY: usize = 1024 * 1024 * 1024;
/// More than any host has descriptors for.
const MOST_HELD: usize = 1_000_000;

// === impl SecretGlob ===

impl SecretGlob {
    /// # Errors
    /// Empty, or a character that no variable's name has.
    pub fn new(text: &str) -> Result<Self, SettingsError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'*';
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(invalid(
                "--secret-env",
                "a glob is letters, digits, _ and * for any run of them, as *_API_KEY",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pieces between the stars must stand in the name in their order, the outer ones at its ends.
    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(first) = pieces.next() else { return false };
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = rest.get(at + piece.len()..).unwrap_or_default();
        }
        rest.ends_with(last)
    }
}

/// `IP:PORT` or `localhost:PORT`.
pub(super) fn address(what: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    if let Some(port) = text.strip_prefix("localhost:")
        && let Ok(port) = port.parse()
    {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        invalid(
            what,
            format!("`{}` is not an address; write IP:PORT, as 127.0.0.1:41002", text.escape_debug()),
        )
    })
}

/// Bytes, or a number with `KiB` or `MiB`.
pub(super) fn size(what: &'static str, text: &str) -> Result<usize, SettingsError> {
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor = match unit {
        "" => Some(1),
        "KiB" => Some(1024),
        "MiB" => Some(1024 * 1024),
        _ => None,
    };
    number
        .parse::<usize>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|bytes| (SMALLEST_BODY..=LARGEST_BODY).contains(bytes))
        .ok_or_else(|| {
            invalid(
                what,
                format!(
                    "`{}` is not a size from 1KiB to 1024MiB; write for example 16MiB",
                    text.escape_debug()
                ),
            )
        })
}

/// How many of something are held at once; `None` as long as nobody says.
pub(super) fn number(what: &'static str, text: Option<&str>) -> Result<Option<usize>, SettingsError> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse::<usize>().ok().filter(|number| (1..=MOST_HELD).contains(number));
    number.map(Some).ok_or_else(|| {
        invalid(
            what,
            format!(
                "`{}` is not a number from 1 to {MOST_HELD}; write for example 4096",
                text.escape_debug()
            ),
        )
    })
}

pub(super) fn labels(pairs: &[String]) -> Result<Labels, SettingsError> {
    let mut parsed: Vec<(String, String)> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| invalid("--label", "a label is KEY=VALUE, as --label region=eu"))?;
        if parsed.iter().any(|(known, _)| known == key) {
            return Err(invalid("--label", format!("`{}` is given twice", key.escape_debug())));
        }
        parsed.push((key.to_owned(), value.to_owned()));
    }
    Labels::new(parsed).map_err(|error| invalid("--label", error))
}

/// Plain text is for loopback alone: the credential travels in it.
pub(super) fn control_plane(what: &'static str, text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text).map_err(|_| {
        invalid(
            what,
            format!("`{}` is not a URL; write for example http://127.0.0.1:7443", text.escape_debug()),
        )
    })?;
    match url.scheme() {
        "http" => {}
        "https" => {
            return Err(invalid(
                what,
                "this version reaches a control plane over plain http on loopback only; write for example http://127.0.0.1:7443",
            ));
        }
        _ => return Err(invalid(what, "the URL of a control plane begins with http://")),
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !loopback {
        return Err(invalid(
            what,
            "plain http is allowed to loopback only, because the credential travels in it; write for example http://127.0.0.1:7443",
        ));
    }
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if bare {
        Ok(url)
    } else {
        Err(invalid(
            what,
            "the URL of a control plane is scheme, host and port alone, as http://127.0.0.1:7443",
        ))
    }
}
