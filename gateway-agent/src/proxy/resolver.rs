//! Name resolution for provider calls that never yields a cloud metadata address.
//!
//! Lint refuses such addresses in a pack; a name that resolves to one is only seen here, at the
//! moment of the connection, with the very addresses that are connected to.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use policy_config::schema::address::{is_metadata_ip, is_metadata_name};
use tower::Service;

/// The system's resolver, without metadata addresses.
#[derive(Debug, Clone)]
pub(super) struct ProviderResolver {
    system: GaiResolver,
}

/// A provider's name led to a cloud metadata address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the provider's name resolves to a cloud metadata address, which is never called")]
pub(super) struct MetadataAddress;

// === impl ProviderResolver ===

impl ProviderResolver {
    pub(super) fn new() -> Self {
        Self { system: GaiResolver::new() }
    }
}

impl Service<Name> for ProviderResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolved = self.system.call(name);
        Box::pin(async move { without_metadata(resolved.await?) })
    }
}

/// An address written as the host of a `base_url` does not pass a resolver.
pub(super) fn check_host(host: &str) -> Result<(), MetadataAddress> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) if is_metadata_ip(address) => Err(MetadataAddress),
        Err(_) if is_metadata_name(bare) => Err(MetadataAddress),
        _ => Ok(()),
    }
}

/// One metadata address among others is reason enough: a name that mixes them is an attack.
fn without_metadata(
    addresses: impl Iterator<Item = SocketAddr>,
) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let addresses: Vec<SocketAddr> = addresses.collect();
    if addresses.iter().any(|address| is_metadata_ip(address.ip())) {
        return Err(io::Error::other(MetadataAddress));
    }
    Ok(addresses.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_refused_whoever_names_them() {
        for host in
            ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "Metadata.Google.Internal."]
        {
            assert_eq!(check_host(host), Err(MetadataAddress), "{host}");
        }
        for host in ["127.0.0.1", "10.0.0.7", "api.openai.com", "[::1]"] {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
        let mixed: Vec<SocketAddr> =
            vec!["93.184.216.34:443".parse().unwrap(), "169.254.169.254:443".parse().unwrap()];
        assert!(without_metadata(mixed.into_iter()).is_err());
    }
}
