//! One request to a store. It blocks, for a bounded time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method};
use parking_lot::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::blocking::run;
use super::outage::Outage;
use crate::config::CredentialServer;
use crate::net::dns::Resolver;
use crate::oauth2::client::http::HttpClient;
use crate::oauth2::client::observed::date;
use crate::refresh::SourceErrorKind;
use crate::secret::SourceError;
use crate::tls::client::{TlsClient, TlsClients};

/// The longest time after a failure in which nothing is sent.
const MAX_OUTAGE: Duration = Duration::from_secs(5);

/// A store, as a server.
pub(super) struct StoreServer {
    server: CredentialServer,
    /// The server in messages, such as `Vault at https://vault.example:8200`.
    who: String,
    /// Limit on one request.
    limit: Duration,
    tls: Mutex<Option<(Arc<TlsClients>, Arc<TlsClient>)>>,
    outage: Outage,
}

/// A request. Redirects are not followed: the token in it is for its own server.
pub(super) struct StoreRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap<HeaderValue>,
    pub(super) body: Zeroizing<String>,
}

/// A complete answer.
pub(super) struct StoreAnswer {
    pub(super) status: u16,
    /// The time of the server's clock.
    pub(super) date: Option<SystemTime>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Why a request has no answer.
enum Failure {
    /// The store cannot be reached, or does not answer.
    NoAnswer(String),
    /// What was asked for has an answer that cannot be used: it is too large, for example.
    NotUsable(String),
}

impl StoreAnswer {
    /// Whether the store cannot serve now, so that the answer says nothing about what was asked for.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(self.status, 300..=399 | 408 | 425 | 429 | 472 | 473 | 500..)
    }
}

impl StoreServer {
    /// A server. Nothing is sent, and no file is read yet.
    pub(super) fn new(server: CredentialServer, kind: &str, limit: Duration) -> Self {
        let who = format!("{kind} at {}", server.url.origin().ascii_serialization());
        let outage = Outage::new(MAX_OUTAGE);
        Self { server, who, limit, tls: Mutex::default(), outage }
    }

    /// The server in messages.
    pub(super) fn who(&self) -> &str {
        &self.who
    }

    /// Its URL.
    pub(super) fn url(&self) -> &Url {
        &self.server.url
    }

    /// Limit on one request.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// TLS toward servers, by the current content of the files.
    pub(super) fn tls(&self) -> Result<(Arc<TlsClients>, Arc<TlsClient>), SourceError> {
        let mut tls = self.tls.lock();
        if let Some((clients, client)) = &*tls {
            for reloaded in clients.reload() {
                if let Err(error) = reloaded.result {
                    let store = &self.who;
                    tracing::warn!(
                        secret.store = store,
                        "certificate files of a store cannot be used: {error}"
                    );
                }
            }
            return Ok((clients.clone(), client.clone()));
        }
        let clients = Arc::new(TlsClients::new());
        let client = clients.client(&self.server.tls);
        let client = client.map_err(|error| SourceError::new(format!("{}: {error}", self.who)))?;
        *tls = Some((clients.clone(), client.clone()));
        Ok((clients, client))
    }

    /// Sends a request, and reads its answer. An error says nothing about what was asked for.
    pub(super) fn send_within(
        &self,
        limit: Duration,
        request: StoreRequest,
    ) -> Result<StoreAnswer, SourceError> {
        self.outage.check()?;
        let (_, tls) = self.tls()?;
        let sent = run(self.exchange(tls, limit.min(self.limit), request));
        let no_thread =
            |error: std::io::Error| Failure::NoAnswer(format!("cannot connect to {}: {error}", self.who));
        let answer = sent.unwrap_or_else(|error| Err(no_thread(error)));
        match answer {
            Ok(answer) => {
                if !answer.is_unavailable() {
                    self.outage.over();
                }
                Ok(answer)
            }
            Err(Failure::NoAnswer(message)) => Err(self.unavailable(message)),
            Err(Failure::NotUsable(message)) => Err(SourceError::passing(message)),
        }
    }

    /// Notes that the store cannot serve now, and returns the error.
    pub(super) fn unavailable(&self, message: String) -> SourceError {
        let error = SourceError::passing(message);
        self.outage.failed(&error);
        error
    }

    async fn exchange(
        &self,
        tls: Arc<TlsClient>,
        limit: Duration,
        request: StoreRequest,
    ) -> Result<StoreAnswer, Failure> {
        let who = &*self.who;
        // Made for each request, because what they start belongs to the runtime of this thread.
        let resolver = Resolver::from_system();
        let resolver =
            resolver.map_err(|error| Failure::NoAnswer(format!("cannot resolve names: {error}")))?;
        let http = HttpClient::new(tls, resolver, self.server.proxy.as_ref());
        let http = http.map_err(|error| Failure::NoAnswer(format!("cannot connect to {who}: {error}")))?;
        let failed = |error: reqwest::Error| Failure::NoAnswer(http.request_error(&error, who).message);
        let StoreRequest { method, url, headers, body } = request;
        let client = http.client().map_err(failed)?;
        let request = client.request(method, url).timeout(limit).headers(headers);
        let mut answer = request.body(body.to_string()).send().await.map_err(failed)?;
        let (status, date) = (answer.status().as_u16(), date(&answer));
        let body = http.body(&mut answer, who).await.map_err(|error| match error.kind {
            SourceErrorKind::Malformed => Failure::NotUsable(error.message),
            _ => Failure::NoAnswer(error.message),
        })?;
        Ok(StoreAnswer { status, date, body })
    }
}
