//! What a command means once flags and environment are put together. Every variable `kt` reads:
//!
//! | variable | meaning |
//! |---|---|
//! | `KT_CONTROL_PLANE` | the control plane, when `--control-plane` is not given |
//! | `KT_TOKEN_FILE` | the file with the operator token |
//! | `KT_HOME` | where state lives; else `$XDG_STATE_HOME/kt`, else `~/.local/state/kt`, as root without HOME `/var/lib/kt` |
//! | `KT_PG_BIN`, `DATABASE_URL` | the control plane's; `kt doctor` looks at them |
//! | `XDG_DATA_HOME`, `XDG_STATE_HOME`, `HOME` | where the defaults lie |
//! | `NO_COLOR`, `TERM` | whether output has colour |

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use http::Uri;

use crate::cli::Endpoint;
use crate::failure::{Exit, Failure};
use crate::input;

pub(crate) const DEFAULT_CONTROL_PLANE: &str = "http://127.0.0.1:7443";

/// More than any token; a bigger file is not one.
const MAX_TOKEN_BYTES: usize = 4096;

/// A control plane and the credential to prove oneself with.
#[derive(Clone)]
pub(crate) struct ControlPlane {
    /// As typed, for messages.
    pub(crate) url: String,
    pub(crate) uri: Uri,
    pub(crate) token: Token,
}

/// A bearer token; never shown.
#[derive(Clone)]
pub(crate) struct Token(String);

/// The URL that is asked: flag, environment, default.
///
/// # Errors
/// It is no URL, or plain text would leave this machine.
pub(crate) fn control_plane_url(flag: Option<&str>) -> Result<(String, Uri), Failure> {
    let text = flag.unwrap_or(DEFAULT_CONTROL_PLANE);
    let example = "write it as http://127.0.0.1:7443";
    let bad = |why: &str| {
        Failure::usage("--control-plane", format!("`{text}` is no control plane URL: {why}"))
            .with_hint(example)
    };
    if text.contains('@') {
        // It may hold a password, also where it reads as no URL: it is not repeated.
        return Err(Failure::usage("--control-plane", "the control plane URL holds a user name or password")
            .with_hint("kt proves itself with KT_TOKEN_FILE"));
    }
    let uri: Uri = text.parse().map_err(|_| bad("it does not read as a URL"))?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("it names no host"))?;
    if !uri.path().trim_matches('/').is_empty() || uri.query().is_some() {
        return Err(bad("it has a path or a query"));
    }
    match uri.scheme_str() {
        Some("http") if is_loopback(host) => Ok((text.trim_end_matches('/').to_owned(), uri)),
        Some("http") => Err(Failure::usage(
            "--control-plane",
            format!("`{text}` would send the operator token over the network in plain text"),
        )
        .with_hint(
            "plain http is for loopback only; run kt on the control plane's host or through an SSH tunnel",
        )),
        Some("https") => Err(bad("this version speaks plain text to loopback only, and no TLS")),
        _ => Err(bad("its scheme is not http")),
    }
}

/// An empty variable is one that is not set.
fn endpoint_url(endpoint: &Endpoint) -> Result<(String, Uri), Failure> {
    control_plane_url(endpoint.control_plane.as_deref().filter(|url| !url.is_empty()))
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Flags and environment, checked; reads the token file.
    pub(crate) fn resolve(endpoint: &Endpoint) -> Result<Self, Failure> {
        let (url, uri) = endpoint_url(endpoint)?;
        let token = Token::find()?;
        Ok(Self { url, uri, token })
    }

    /// With the token in this file and no other.
    pub(crate) fn with_token_file(endpoint: &Endpoint, path: &Path) -> Result<Self, Failure> {
        let (url, uri) = endpoint_url(endpoint)?;
        let token = Token::read(path)?.ok_or_else(|| {
            let message = format!("there is no token file `{}`", path.display());
            Failure::new(Exit::Forbidden, "token_file_missing", message)
        })?;
        Ok(Self { url, uri, token })
    }
}

// === impl Token ===

impl Token {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The file named by `KT_TOKEN_FILE`, else `operator.token` in the default data directory.
    pub(crate) fn find() -> Result<Self, Failure> {
        let forbidden = |code: &str, message: String| Failure::new(Exit::Forbidden, code, message);
        if let Some(named) = variable("KT_TOKEN_FILE") {
            let path = PathBuf::from(named);
            return Self::read(&path)?.ok_or_else(|| {
                forbidden(
                    "token_file_missing",
                    format!("KT_TOKEN_FILE names `{}`, and there is no such file", path.display()),
                )
                .with_hint("name the operator.token in the data directory of the control plane")
            });
        }
        let default = default_token_file();
        Self::read(&default)?.ok_or_else(|| {
            forbidden(
                "token_missing",
                format!(
                    "no operator token: KT_TOKEN_FILE is not set, and there is no `{}`",
                    default.display()
                ),
            )
            .with_hint("set KT_TOKEN_FILE to the operator.token in the data directory of the control plane")
        })
    }

    /// `None` when there is no such file.
    fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let shown = path.display();
        let refused = |why: String, hint: &str| {
            Failure::new(Exit::Forbidden, "token_file_refused", format!("the token file `{shown}` {why}"))
                .with_hint(hint)
        };
        let file = match input::open_regular(path) {
            Ok(file) => file,
            Err(input::OpenError::Missing) => return Ok(None),
            Err(error) => return Err(refused(error.to_string(), "name another one with KT_TOKEN_FILE")),
        };
        if file.mode & 0o077 != 0 {
            return Err(refused(
                format!("may be read by others (mode {:04o})", file.mode & 0o7777),
                &format!("make it your own with `chmod 600 {shown}`"),
            ));
        }
        let bytes = file.read_up_to(MAX_TOKEN_BYTES).map_err(|error| {
            refused(format!("cannot be read: {error}"), "name another one with KT_TOKEN_FILE")
        })?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let token = text.trim();
        let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || token.len() >= MAX_TOKEN_BYTES || !printable {
            return Err(refused(
                "does not hold a token".to_owned(),
                "it holds one line as the control plane wrote it, and nothing else",
            ));
        }
        Ok(Some(Self(token.to_owned())))
    }
}

/// The token that is taken where `KT_TOKEN_FILE` names none.
pub(crate) fn default_token_file() -> PathBuf {
    data_dir().join("operator.token")
}

/// Where the control plane keeps its token by default.
fn data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/kt/control-plane");
    }
    let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from("/var/lib")).join("kt/control-plane")
}

/// Where state lives; see [`instance::place::state_home`].
pub(crate) fn state_dir() -> PathBuf {
    let found = instance::place::state_home(|name| std::env::var_os(name), nix::unistd::geteuid().is_root());
    found.unwrap_or_else(|| PathBuf::from("/var/lib/kt"))
}

/// A variable that is set to something.
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for good in ["http://127.0.0.1:7443", "http://localhost:1/", "http://[::1]:7443", "http://127.9.9.9"]
        {
            assert!(control_plane_url(Some(good)).is_ok(), "{good}");
        }
        let refused = [
            "",
            "127.0.0.1:7443",
            "http://",
            "http://10.0.0.1:7443",
            "http://cp.example:7443",
            "https://127.0.0.1:7443",
            "unix:/x",
            "http://127.0.0.1:7443/x",
            "http://localhost.evil.example:1",
        ];
        for bad in refused {
            assert_eq!(
                control_plane_url(Some(bad)).map(|_| ()).map_err(|f| f.exit()),
                Err(Exit::Usage),
                "{bad}"
            );
        }
        for secret in ["http://me:secret@127.0.0.1", "http://me:secret@", "me:se cret@127.0.0.1"] {
            let message =
                control_plane_url(Some(secret)).map(|_| ()).map_err(|failure| failure.message().to_owned());
            assert_eq!(message, Err("the control plane URL holds a user name or password".to_owned()));
        }
        assert_eq!(control_plane_url(None).map(|(url, _)| url).ok().as_deref(), Some(DEFAULT_CONTROL_PLANE));
    }
}
