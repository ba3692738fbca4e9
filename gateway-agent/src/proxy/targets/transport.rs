//! How a provider is reached and whom it must be certified by; what shares one shares connections.

use std::sync::Arc;
use std::time::Duration;

use policy_engine::{Authorities, Target};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Settings of connections. Clients are kept for one by its place in memory.
pub(in crate::proxy) struct Transport {
    connect: Duration,
    authorities: Option<Authorities>,
    tls: ClientConfig,
}

/// Trust for targets that do not name their own: the host's certificate store, read once.
pub(in crate::proxy) struct TlsRoots {
    usual: ClientConfig,
}

// === impl Transport ===

impl Transport {
    pub(super) fn to(target: &Target, roots: &TlsRoots) -> Self {
        let authorities = target.authorities().cloned();
        Self {
            connect: target.timeouts.connect,
            tls: authorities.as_ref().map_or_else(|| roots.usual.clone(), |own| roots.trusting(own)),
            authorities,
        }
    }

    pub(super) fn fits(&self, target: &Target) -> bool {
        self.connect == target.timeouts.connect && self.authorities.as_ref() == target.authorities()
    }

    pub(in crate::proxy) fn connect(&self) -> Duration {
        self.connect
    }

    pub(in crate::proxy) fn tls(&self) -> &ClientConfig {
        &self.tls
    }
}

// === impl TlsRoots ===

impl TlsRoots {
    /// A host without a certificate store can still serve plain providers: that is said here once, and each TLS provider
    /// fails with a clear reason.
    pub(super) fn load(extra: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        let native = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(native.certs);
        if usable == 0 {
            tracing::warn!(
                problems = ?native.errors,
                "this host has no usable certificate store: providers over https will fail with `upstream_tls`; \
                 install the ca-certificates package or point SSL_CERT_FILE to a bundle"
            );
        }
        roots.add_parsable_certificates(extra.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let usual = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { usual })
    }

    /// These in place of the host's store: nobody else may vouch for the provider. Sessions are resumed with nobody
    /// who was met under other certificates.
    fn trusting(&self, own: &Authorities) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(own.0.iter().map(|der| CertificateDer::from(der.clone())));
        let provider = Arc::clone(self.usual.crypto_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        // The versions suit the provider: it made the usual settings.
        builder.map_or_else(
            |_| self.usual.clone(),
            |builder| builder.with_root_certificates(roots).with_no_client_auth(),
        )
    }
}
