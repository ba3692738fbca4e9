//! The listening socket of a supervised gateway. The supervisor holds it, so that connections wait in it instead of
//! being refused while one process follows another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use nix::sys::socket::{Backlog, listen};
use tokio::time::timeout;

use crate::failure::{Exit, Failure};

/// For bursts while no process accepts; the kernel has its own limit below it.
const BACKLOG: i32 = 4096;
/// To an address of this host.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// Bound and listening.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    address: String,
}

// === impl Listener ===

impl Listener {
    /// Listens on what an `instance.json` says.
    ///
    /// # Errors
    /// It is no address, or it cannot be had.
    pub(super) fn bind(address: &str) -> Result<Self, Failure> {
        let parsed = parse(address).ok_or_else(|| {
            Failure::new(Exit::Usage, "invalid_argument", format!("instance.json: `{address}` is no address"))
        })?;
        let socket = TcpListener::bind(parsed).and_then(|socket| {
            let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN);
            listen(&socket, backlog).map_err(io::Error::from)?;
            Ok(socket)
        });
        let socket = socket.map_err(|error| refused(address, &error))?;
        Ok(Self { socket, address: address.to_owned() })
    }

    pub(super) fn is_of(&self, address: &str) -> bool {
        self.address == address
    }
}

/// Whether anybody listens there.
pub(crate) async fn is_heard(address: &str) -> bool {
    let Some(address) = parse(address) else { return false };
    let connected = timeout(CONNECT_LIMIT, tokio::net::TcpStream::connect(address)).await;
    connected.is_ok_and(|connected| connected.is_ok())
}

/// `IP:PORT`, as `kt-gateway` reads it.
pub(super) fn parse(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into()),
        None => text.parse().ok(),
    }
}

fn refused(address: &str, error: &io::Error) -> Failure {
    let (exit, code, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            Exit::Conflict,
            "address_taken",
            "another program has it: end that one, or uninstall and install with another --listen",
        ),
        io::ErrorKind::PermissionDenied => (
            Exit::Forbidden,
            "address_forbidden",
            "ports below 1024 are for root; choose another with --listen",
        ),
        _ => (
            Exit::Usage,
            "address_unusable",
            "it must be an address of this host; choose another with --listen",
        ),
    };
    Failure::new(exit, code, format!("cannot listen on {address}: {error}"))
        .with_field("--listen")
        .with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_had_says_why() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = held.local_addr().unwrap().to_string();
        let exit = |address: &str| Listener::bind(address).map(|_| ()).map_err(|failure| failure.exit());
        assert_eq!(exit(&taken), Err(Exit::Conflict));
        drop(held);
        assert_eq!(exit(&taken), Ok(()));
        assert_eq!(exit("192.0.2.1:1"), Err(Exit::Usage));
        assert_eq!(exit("nonsense"), Err(Exit::Usage));
    }
}
