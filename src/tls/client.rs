//! TLS toward upstreams, token endpoints and collectors: one client configuration for each distinct setting.
//!
//! A configuration has its own sessions. Services that share a configuration resume each other's
//! sessions with a host. Services that trust different CAs or have different client certificates never share
//! one. When the content of a file changes, a new configuration replaces the old one, and no session of the
//! old one is resumed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::sign::SingleCertAndKey;

use super::no_verifier::NoVerifier;
use super::reloadable::{Reloadable, Reloaded};
use super::sessions::Sessions;
use crate::config::{Host, ServerVerifier, Tls, TlsFiles, TlsVersion, TrustedCertificates, UnusableFile};
use crate::secret::in_time;

/// Builds client configurations, and rebuilds them. Equal settings share one.
pub struct TlsClients {
    machine_roots: Arc<ServerVerifier>,
    provider: Arc<CryptoProvider>,
    shared: Mutex<HashMap<ClientKey, Weak<TlsClient>>>,
}

/// The settings, and what the client is for alone; `None` if equal settings share it.
type ClientKey = (Tls, Option<String>);

/// The client configuration for one setting.
pub type TlsClient = Reloadable<ClientConfig>;

impl TlsClients {
    /// Loads the machine's CA roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` respected).
    pub fn new() -> Self {
        let mut machine_roots = TrustedCertificates::of_machine(&[]);
        // `SSL_CERT_FILE` may name a FIFO, or a file on a file system that does not answer.
        let path = std::env::var_os("SSL_CERT_FILE").map_or_else(|| "/etc/ssl".into(), PathBuf::from);
        match in_time(&path, |_| rustls_native_certs::load_native_certs()) {
            Ok(found) => {
                for error in found.errors {
                    tracing::warn!(error = %error, "a CA root of this machine cannot be read");
                }
                machine_roots = TrustedCertificates::of_machine(&found.certs);
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %error, "the CA roots of this machine cannot be read");
            }
        }
        if machine_roots.is_empty() {
            tracing::warn!(
                "this machine has no CA roots: every TLS connection without `tls.ca_file` will fail"
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let machine_roots = Arc::new(ServerVerifier::new(machine_roots, &provider));
        Self { machine_roots, provider, shared: Mutex::default() }
    }

    /// The client for these settings: an existing one, or a new one. Reads files, so it must not be called in
    /// the request path.
    pub fn client(&self, tls: &Tls) -> Result<Arc<TlsClient>, UnusableFile> {
        self.client_of(tls, None)
    }

    /// As [`client`](Self::client), with a session cache of its own for the hosts of a wildcard: callers name them, and push no
    /// session of another upstream out.
    pub fn client_for(&self, tls: &Tls, wildcard: &str) -> Result<Arc<TlsClient>, UnusableFile> {
        self.client_of(tls, Some(wildcard.to_owned()))
    }

    fn client_of(&self, tls: &Tls, alone_for: Option<String>) -> Result<Arc<TlsClient>, UnusableFile> {
        // The server name belongs to one upstream, not to the configuration.
        let key = (Tls { server_name: None, ..tls.clone() }, alone_for);
        let mut shared = self.shared.lock();
        if let Some(client) = shared.get(&key).and_then(Weak::upgrade) {
            return Ok(client);
        }
        let client = Arc::new(Reloadable::new(TlsFiles::read(tls), |files| self.config(tls, files))?);
        shared.retain(|_, client| client.strong_count() > 0);
        shared.insert(key, Arc::downgrade(&client));
        Ok(client)
    }

    /// Reads the files of every configuration in use, and rebuilds those whose files have changed. Files that
    /// cannot be used change nothing.
    pub fn reload(&self) -> Vec<Reloaded> {
        let clients: Vec<_> =
            self.shared.lock().iter().map(|(tls, client)| (tls.clone(), client.clone())).collect();
        let reload_one = |((tls, _), client): (ClientKey, Weak<TlsClient>)| {
            let client = client.upgrade().filter(|_| tls.ca_file.is_some() || tls.client.is_some())?;
            client.reload(&describe(&tls), TlsFiles::read(&tls), |files| self.config(&tls, files))
        };
        clients.into_iter().filter_map(reload_one).collect()
    }

    fn config(&self, tls: &Tls, files: &TlsFiles) -> Result<ClientConfig, UnusableFile> {
        let versions: &[_] = match tls.min_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions)
            .expect("ring supports these versions");
        let verifier: Arc<dyn ServerCertVerifier> = match files.trusted(tls)? {
            _ if tls.insecure_skip_verify => Arc::new(NoVerifier(self.provider.clone())),
            Some(trusted) => Arc::new(ServerVerifier::new(trusted, &self.provider)),
            None => self.machine_roots.clone(),
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match files.client(tls, &self.provider)? {
            Some(client) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(client))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::store(Arc::new(Sessions::default()));
        Ok(config)
    }
}

impl Default for TlsClients {
    fn default() -> Self {
        Self::new()
    }
}

/// The name of a configuration in the log: the paths of its files.
fn describe(tls: &Tls) -> String {
    let client = tls.client.iter().flat_map(|client| [&client.cert_file, &client.key_file]);
    let paths = tls.ca_file.iter().chain(client).map(|path| path.display().to_string());
    format!("connections to servers ({})", paths.collect::<Vec<_>>().join(", "))
}

/// The name that a server's certificate must have: `tls.server_name`, or the URL's host. It is never empty,
/// and an IP address is verified as an IP address.
pub fn server_name(host: &Host, tls: &Tls) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match (&tls.server_name, host) {
        (Some(name), _) | (None, Host::Name(name)) => ServerName::try_from(name.clone()),
        (None, Host::Ip(ip)) => Ok(ServerName::IpAddress((*ip).into())),
    }
}
