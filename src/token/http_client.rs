//! The HTTP client toward one token endpoint; made anew when the files of its `tls` have changed.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::redirect;
use rustls::ClientConfig;

use crate::dns::Resolver;
use crate::tls::TlsClient;

/// Limit on the TCP and TLS handshakes, within `request_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that follows no redirect and no proxy of the environment.
pub(super) struct HttpClient {
    tls: Arc<TlsClient>,
    resolver: Resolver,
    /// With the configuration that it was made with.
    made: Mutex<(Arc<ClientConfig>, reqwest::Client)>,
}

impl HttpClient {
    pub(super) fn new(tls: Arc<TlsClient>, resolver: Resolver) -> reqwest::Result<Self> {
        let config = tls.current();
        let client = client(&config, &resolver)?;
        Ok(Self { tls, resolver, made: Mutex::new((config, client)) })
    }

    /// A client that uses the newest content of the files.
    pub(super) fn client(&self) -> reqwest::Result<reqwest::Client> {
        let config = self.tls.current();
        let mut made = self.made.lock();
        if !Arc::ptr_eq(&made.0, &config) {
            *made = (config.clone(), client(&config, &self.resolver)?);
        }
        Ok(made.1.clone())
    }
}

fn client(tls: &ClientConfig, resolver: &Resolver) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Arc::new(resolver.clone()))
        .redirect(redirect::Policy::none())
        // `HTTP_PROXY` is for the app, and may well name Sidekey itself: a secret goes to its own endpoint alone.
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        // Requests are minutes apart; a connection kept for the next would be found dead by it.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("sidekey/", env!("CARGO_PKG_VERSION")))
        .build()
}
