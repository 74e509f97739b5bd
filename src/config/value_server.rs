//! The servers that a value comes from, so that it can be tried whether they can be reached.

use std::fmt;

use url::Url;

use super::credential_server::CredentialServer;
use super::service::proxy::ProxyConfig;
use super::tls::model::Tls;

/// A server that requests for a value go to.
#[derive(Clone)]
pub struct ValueServer {
    /// What it is, for people.
    pub name: &'static str,
    /// The configuration key that names it, or its place.
    pub key: &'static str,
    /// Its URL, whose query may have a secret.
    pub url: Url,
    /// TLS toward it.
    pub tls: Tls,
    /// The forward proxy toward it.
    pub proxy: Option<ProxyConfig>,
}

impl ValueServer {
    /// A server with the roots of the machine and without a proxy.
    pub(crate) fn direct(name: &'static str, key: &'static str, url: &Url) -> Self {
        Self { name, key, url: url.clone(), tls: Tls::default(), proxy: None }
    }

    /// A server of the configuration.
    pub(crate) fn of(name: &'static str, key: &'static str, server: &CredentialServer) -> Self {
        let CredentialServer { url, tls, proxy, .. } = server;
        Self { name, key, url: url.clone(), tls: tls.clone(), proxy: proxy.clone() }
    }
}

/// Without the query of the URL.
impl fmt::Debug for ValueServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.url.origin().ascii_serialization())
    }
}
