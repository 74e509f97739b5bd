//! The HTTP client for one token endpoint, and what its errors mean.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Proxy;
use zeroize::Zeroizing;

use super::content_coding;
use crate::config;
use crate::config::Username;
use crate::net::dns::Resolver;
use crate::net::exhaustion;
use crate::net::http_client::{ClientOptions, ReloadingClient, body_up_to};
use crate::oauth2::sanitize::sanitize;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::tls::client::TlsClient;
use crate::tls::error_text::{error_text, tls_error};

/// Limit on the TCP and TLS handshakes, within `token_request.timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of an answer, in bytes. A larger one is an attack or an error.
const MAX_BODY_SIZE: usize = 1024 * 1024;

/// A client that sends a secret to its own endpoint only.
pub(crate) struct HttpClient(ReloadingClient);

impl HttpClient {
    /// A client with this TLS configuration and this proxy. It connects to nothing yet.
    pub(crate) fn new(
        tls: Arc<TlsClient>,
        resolver: Resolver,
        proxy: Option<&config::ProxyConfig>,
    ) -> reqwest::Result<Self> {
        let proxy = proxy.map(forward_proxy).transpose()?;
        // Requests are minutes apart: an idle connection would be closed before the next one.
        let options = ClientOptions { connect_timeout: CONNECT_TIMEOUT, keep_idle: None, proxy };
        let client = ReloadingClient::new(tls, resolver, options);
        client.current()?;
        Ok(Self(client))
    }

    /// A client that uses the current content of the TLS files.
    pub(crate) fn client(&self) -> reqwest::Result<reqwest::Client> {
        self.0.current()
    }

    /// Reads the body of an answer, 1 MiB at most, and removes its content coding. `who` names the server in
    /// messages, such as `the token endpoint`.
    pub(crate) async fn body(
        &self,
        answer: &mut reqwest::Response,
        who: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let status = Some(answer.status().as_u16());
        let malformed = |what: &str| SourceError {
            status,
            ..SourceError::new(SourceErrorKind::Malformed, format!("{who}'s answer {what}"))
        };
        let body = body_up_to(answer, MAX_BODY_SIZE).await;
        let body = body.map_err(|error| self.request_error(&error, who))?;
        let body = body.ok_or_else(|| malformed("is larger than 1 MiB"))?;
        content_coding::decode(answer.headers(), body, MAX_BODY_SIZE)
            .map_err(|error| malformed(&error.to_string()))
    }

    /// Classifies a request that got no complete answer. The message has no URL, because its query may hold a
    /// secret.
    pub(crate) fn request_error(&self, error: &reqwest::Error, who: &str) -> SourceError {
        let mut causes = String::new();
        let mut is_tls = false;
        let is_exhaustion = exhaustion::is_exhaustion(error);
        if is_exhaustion {
            exhaustion::record(error);
        }
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            is_tls |= tls_error(cause).is_some();
            causes = error_text(cause);
            source = cause.source();
        }
        let (reason, what) = match () {
            () if is_exhaustion => {
                (SourceErrorKind::Local, format!("no descriptor is left to connect to {who}"))
            }
            () if error.is_timeout() => (SourceErrorKind::Timeout, format!("{who} did not answer in time")),
            () if is_tls => (SourceErrorKind::Tls, format!("TLS to {who} failed")),
            () if error.is_connect() => (SourceErrorKind::Connect, format!("cannot connect to {who}")),
            () => (SourceErrorKind::Connect, format!("the connection to {who} broke")),
        };
        let what = if self.0.has_proxy() { format!("{what} (through `proxy`)") } else { what };
        let message = if causes.is_empty() || reason == SourceErrorKind::Timeout {
            what
        } else if is_tls && causes.contains("InvalidContentType") {
            format!("{what}: it does not speak TLS at this port; is it an `http://` URL?")
        } else {
            format!("{what}: {}", sanitize(&causes))
        };
        SourceError::new(reason, message)
    }
}

fn forward_proxy(config: &config::ProxyConfig) -> reqwest::Result<Proxy> {
    let proxy = Proxy::all(format!("http://{}:{}", config.host, config.port))?;
    Ok(match &config.credentials {
        Some((username, password)) => {
            let username = match username {
                Username::Text(text) => text,
                Username::Secret(secret) => secret.expose(),
            };
            proxy.basic_auth(username, password.as_ref().map_or("", |password| password.expose()))
        }
        None => proxy,
    })
}
