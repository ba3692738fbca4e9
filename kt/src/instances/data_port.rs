//! `--gateway-url`: whether the gateway that is meant answers there. Nothing but its name is asked, and no token is sent.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use instance::documents::Status;
use tokio::net::TcpStream;

use crate::failure::{Exit, Failure};

const FIELD: &str = "--gateway-url";
const LIMIT: Duration = Duration::from_secs(5);
const INSTANCE: &str = "x-kt-instance";

/// A plain `http` URL of a loopback host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayUrl {
    shown: String,
    host: String,
    port: u16,
}

// === impl GatewayUrl ===

impl GatewayUrl {
    /// # Errors
    /// It is anything else.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text.contains('@') {
            // It may hold a password: it is not repeated.
            return Err(Failure::usage(FIELD, "the gateway URL holds a user name or password")
                .with_hint("no token is needed: kt acts over the gateway's own socket"));
        }
        let short: String = text.chars().take(100).collect();
        let bad = |why: &str| {
            Failure::usage(FIELD, format!("`{short}` is no gateway URL: {why}"))
                .with_hint("write it as http://127.0.0.1:41002, or leave it out")
        };
        let uri: Uri = text.parse().map_err(|_| bad("it does not read as a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad("its scheme is not http"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("it names no host"))?;
        let port = match uri.port_u16() {
            Some(port) if port > 0 => port,
            _ => return Err(bad(no_port(&uri))),
        };
        if !uri.path().trim_matches('/').is_empty() || uri.query().is_some() || text.contains('#') {
            return Err(bad("it has a path, a query or a fragment"));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !loopback {
            return Err(bad("it is not on this host's loopback"));
        }
        Ok(Self { shown: short, host: host.to_owned(), port })
    }

    /// Makes sure that it is `status`'s gateway that answers there.
    ///
    /// # Errors
    /// Nobody answers, or somebody else.
    pub(crate) async fn must_be(&self, status: &Status) -> Result<(), Failure> {
        let answered = tokio::time::timeout(LIMIT, self.instance()).await;
        let answered = answered.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        let instance = answered.map_err(|error| self.nobody(&error))?;
        let name = &status.name;
        let instance = instance.ok_or_else(|| {
            self.conflict(format!("what answers at `{}` is no gateway of kt", self.shown), name)
        })?;
        if instance != *name {
            return Err(
                self.conflict(format!("the gateway at `{}` is `{instance}`, not `{name}`", self.shown), name)
            );
        }
        let listens = status.listen.as_deref().and_then(|listen| listen.parse::<SocketAddr>().ok());
        match listens {
            Some(address) if address.port() != self.port => Err(self.conflict(
                format!("a gateway `{name}` answers at `{}`, and ours listens on {address}", self.shown),
                name,
            )),
            _ => Ok(()),
        }
    }

    /// What `/healthz` says in its header.
    async fn instance(&self) -> io::Result<Option<String>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let bracketed = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let request = Request::builder()
            .uri("/healthz")
            .header(header::HOST, format!("{bracketed}:{}", self.port))
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut answer = pin!(sender.send_request(request));
        let mut connection = pin!(connection);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            // It speaks, but no HTTP.
            Err(error) if error.is_parse() => return Ok(None),
            Err(error) => return Err(io::Error::other(error)),
        };
        let name = answer.headers().get(INSTANCE).and_then(|value| value.to_str().ok());
        Ok(name.map(|name| name.chars().take(100).collect()))
    }

    fn nobody(&self, error: &io::Error) -> Failure {
        Failure::new(Exit::Unreachable, "unreachable", format!("nobody answers at `{}`: {error}", self.shown))
            .with_field(FIELD)
            .with_hint("leave --gateway-url out: kt finds the gateway by its name")
    }

    fn conflict(&self, message: String, name: &str) -> Failure {
        Failure::new(Exit::Conflict, "another_gateway", message)
            .with_field(FIELD)
            .with_hint(format!("see where it listens with `kt gateway status --name {name}`"))
    }
}

/// There is none, or one that cannot be.
fn no_port(uri: &Uri) -> &'static str {
    let digits = uri.authority().and_then(|authority| authority.as_str().rsplit_once(':'));
    match digits {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            "its port is no port: write one from 1 to 65535"
        }
        _ => "it names no port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_on_loopback_is_a_gateway_url() {
        for good in
            ["http://localhost:41002", "http://127.0.0.1:1/", "http://[::1]:9", "http://127.9.9.9:65535"]
        {
            assert!(GatewayUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "localhost:41002",
            "http://localhost",
            "http://localhost:0",
            "http://:1",
            "https://localhost:1",
            "http://10.0.0.1:1",
            "http://0.0.0.0:1",
            "http://localhost.evil.example:1",
            "http://127.0.0.1:1/v1",
            "http://127.0.0.1:1?x",
            "http://127.0.0.1:1#x",
            "http://127.0.0.1:99999",
            "http://a b:1",
        ] {
            let refused = GatewayUrl::parse(bad).map_err(|failure| failure.exit());
            assert_eq!(refused, Err(Exit::Usage), "{bad}");
        }
        for (url, why) in [
            ("http://localhost:99999", "is no port"),
            ("http://localhost:0", "is no port"),
            ("http://localhost", "names no port"),
            ("http://[::1]", "names no port"),
            ("http://localhost:", "names no port"),
        ] {
            let refused = GatewayUrl::parse(url).unwrap_err();
            assert!(refused.message().contains(why), "{}", refused.message());
        }
        let secret = GatewayUrl::parse("http://me:hunter2@127.0.0.1:1").unwrap_err();
        assert!(!secret.message().contains("hunter2") && secret.exit() == Exit::Usage);
    }
}
