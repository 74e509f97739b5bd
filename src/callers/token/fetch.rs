//! One request for the keys of an issuer.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION};
use url::Url;

use super::jwks::KeySet;
use crate::net::dns::Resolver;
use crate::net::http_client::{ClientOptions, ReloadingClient, body_up_to};
use crate::tls::client::TlsClient;

/// Limit on one request.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The media type of a set of keys (RFC 7517 §8.5.2), and what issuers have in its place. Kubernetes answers 406 without the first.
const KEY_SETS: &str = "application/jwk-set+json, application/json, */*;q=0.1";

/// Largest answer, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// A client for the keys of one issuer.
pub struct JwksClient {
    client: ReloadingClient,
    url: Url,
    /// The URL without its query.
    shown: String,
    authorization: Option<HeaderValue>,
}

impl JwksClient {
    /// A client for this URL. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// If the TLS configuration cannot be used.
    pub fn new(
        url: Url,
        authorization: Option<HeaderValue>,
        tls: Arc<TlsClient>,
        resolver: Resolver,
    ) -> reqwest::Result<Self> {
        let options = ClientOptions { connect_timeout: CONNECT_TIMEOUT, keep_idle: None, proxy: None };
        let client = ReloadingClient::new(tls, resolver, options);
        client.current()?;
        let mut shown = url.clone();
        shown.set_query(None);
        Ok(Self { client, shown: shown.into(), url, authorization })
    }

    /// The URL, without its query.
    pub(super) fn url(&self) -> &str {
        &self.shown
    }

    /// Fetches the keys. The error has nothing of the URL's query and of the answer.
    pub(super) async fn fetch(&self) -> Result<KeySet, String> {
        let failed = |error: reqwest::Error| {
            let what = if error.is_timeout() {
                "the server did not answer in time"
            } else if error.is_connect() {
                "cannot connect to the server"
            } else {
                "the connection broke"
            };
            what.to_owned()
        };
        let client = self.client.current().map_err(failed)?;
        let mut request = client.get(self.url.clone()).timeout(TIMEOUT).header(ACCEPT, KEY_SETS);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut answer = request.send().await.map_err(failed)?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("the server answered {}", answer.status().as_u16()));
        }
        let body = body_up_to(&mut answer, MAX_BYTES).await.map_err(failed)?;
        let body = body.ok_or("the answer is larger than 256 KiB")?;
        KeySet::parse(&body).map_err(|error| format!("the answer cannot be used: {error}"))
    }
}
