//! TLS toward upstreams and token endpoints: always verified, one client configuration per set of roots.
//!
//! The configuration holds the session cache, so services that share it resume each other's sessions with a host;
//! services with roots of their own never share one.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::config::{Host, Tls};

/// Makes client configurations; those without settings of their own share one.
pub struct TlsClients {
    default: Arc<ClientConfig>,
}

impl TlsClients {
    /// Loads the machine's CA roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` respected).
    pub fn new() -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(error = %error, "a CA root of this machine cannot be read");
        }
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            tracing::warn!(
                "this machine has no CA roots: every TLS connection without `tls.ca_file` will be refused"
            );
        }
        Self { default: config(roots) }
    }

    /// The client configuration for these settings.
    pub fn client(&self, tls: &Tls) -> Result<Arc<ClientConfig>, CaFileError> {
        tls.ca_file.as_deref().map_or_else(|| Ok(self.default.clone()), |path| Ok(config(roots_in(path)?)))
    }
}

impl Default for TlsClients {
    fn default() -> Self {
        Self::new()
    }
}

fn config(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn roots_in(path: &Path) -> Result<RootCertStore, CaFileError> {
    let error = |message: String| CaFileError { path: path.display().to_string(), message };
    let certs: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| error(source.to_string()))?;
    let mut roots = RootCertStore::empty();
    for cert in certs {
        roots.add(cert).map_err(|source| error(source.to_string()))?;
    }
    if roots.is_empty() { Err(error("no certificate in it".into())) } else { Ok(roots) }
}

/// A `tls.ca_file` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct CaFileError {
    path: String,
    message: String,
}

/// The name that a server must prove: `tls.server_name`, or the URL's host. Never empty, and an address is verified
/// as an address.
pub fn server_name(host: &Host, tls: &Tls) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match (&tls.server_name, host) {
        (Some(name), _) | (None, Host::Name(name)) => ServerName::try_from(name.clone()),
        (None, Host::Ip(ip)) => Ok(ServerName::IpAddress((*ip).into())),
    }
}
