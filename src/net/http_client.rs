//! The HTTP client for Sidekey's own requests: to token endpoints, issuers and collectors.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, Proxy, Response, redirect};
use rustls::ClientConfig;
use zeroize::Zeroizing;

use super::dns::Resolver;
use crate::tls::client::TlsClient;

/// A client toward one server. It is rebuilt when the files of its TLS configuration change.
///
/// It follows no redirect, because a credential is for its own server alone. For the same reason it uses no
/// proxy of the environment: `HTTP_PROXY` is for the app, and may name Sidekey itself.
pub(crate) struct ReloadingClient {
    tls: Arc<TlsClient>,
    resolver: Resolver,
    options: ClientOptions,
    /// The client, and the TLS configuration that it was built with.
    built: Mutex<Option<(Arc<ClientConfig>, Client)>>,
}

/// The options of a client.
pub(crate) struct ClientOptions {
    /// Limit on the TCP and TLS handshakes.
    pub(crate) connect_timeout: Duration,
    /// Time for which one idle connection is kept; `None` if a connection carries one request only.
    pub(crate) keep_idle: Option<Duration>,
    /// A forward proxy.
    pub(crate) proxy: Option<Proxy>,
}

impl ReloadingClient {
    /// A client that verifies the server by `tls`, and resolves names by `resolver`.
    pub(crate) fn new(tls: Arc<TlsClient>, resolver: Resolver, options: ClientOptions) -> Self {
        Self { tls, resolver, options, built: Mutex::default() }
    }

    /// The client for the current content of the files.
    pub(crate) fn current(&self) -> reqwest::Result<Client> {
        let config = self.tls.current();
        let mut built = self.built.lock();
        if let Some((built_with, client)) = &*built
            && Arc::ptr_eq(built_with, &config)
        {
            return Ok(client.clone());
        }
        let client = build(&config, &self.resolver, &self.options)?;
        *built = Some((config, client.clone()));
        Ok(client)
    }

    /// Whether requests go through a forward proxy.
    pub(crate) fn has_proxy(&self) -> bool {
        self.options.proxy.is_some()
    }
}

/// Reads the body of a response; `None` if it is larger than `max` bytes.
pub(crate) async fn body_up_to(
    response: &mut Response,
    max: usize,
) -> reqwest::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Maximum number of header fields of a response. hyper would accept 100.
const MAX_RESPONSE_FIELDS: usize = 1000;
/// Maximum size of the header fields of a response by HTTP/2, in bytes: about what hyper accepts by HTTP/1.1.
const MAX_RESPONSE_FIELDS_SIZE: u32 = 256 * 1024;

fn build(tls: &ClientConfig, resolver: &Resolver, options: &ClientOptions) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Arc::new(resolver.clone()))
        .redirect(redirect::Policy::none())
        // As the data plane does with responses: `Name : value` is read as `Name: value`.
        .http1_allow_spaces_after_header_name_in_responses(true)
        // `Authorization`, not `authorization`: some servers are wrong about case.
        .http1_title_case_headers()
        .http1_max_headers(MAX_RESPONSE_FIELDS)
        .http2_max_header_list_size(MAX_RESPONSE_FIELDS_SIZE)
        .no_proxy()
        // The certificate of the server, whose end is shown.
        .tls_info(true)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(usize::from(options.keep_idle.is_some()))
        .pool_idle_timeout(options.keep_idle)
        .user_agent(concat!("sidekey/", env!("CARGO_PKG_VERSION")));
    match &options.proxy {
        Some(proxy) => builder.proxy(proxy.clone()).build(),
        None => builder.build(),
    }
}
