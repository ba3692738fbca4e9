//! A provider behind TLS, with an authority of its own.

use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;

use super::harness::{COMPLETION, Handled, Seen, json_response, serve_provider, test_watcher};

/// Its certificate is for `localhost`.
pub(super) struct TlsProvider {
    pub(super) base_url: String,
    /// Who signed it.
    pub(super) authority: CertificateDer<'static>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

// === impl TlsProvider ===

impl TlsProvider {
    /// Speaks what `protocols` says, and answers every request with a completion.
    pub(super) async fn start(protocols: &[&[u8]]) -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let own_key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut tls = rustls::ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], own_key)
            .unwrap();
        tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        test_watcher().spawn("tls provider", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                test_watcher().spawn("tls connection", async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = |_| -> Handled { Box::pin(async { json_response(200, COMPLETION) }) };
                    serve_provider(stream, kept, Arc::new(answer)).await;
                });
            }
        });
        let authority = issuer_certificate.der().clone();
        Self { base_url: format!("https://localhost:{port}"), authority, seen }
    }

    pub(super) fn known(self) -> (String, CertificateDer<'static>) {
        (self.base_url, self.authority)
    }

    pub(super) fn calls(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}
