//! One HTTP request of a source of keys, and what its failure means.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;
use zeroize::Zeroizing;

use crate::net::dns::Resolver;
use crate::oauth2::client::http::HttpClient;
use crate::oauth2::client::observed::{date, learn_from, learn_from_error};
use crate::oauth2::sanitize;
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind, SourceServer};
use crate::secret::Echoes;
use crate::tls::client::TlsClient;

/// A server that gives keys.
pub(super) struct KeyServer {
    http: HttpClient,
    /// The server in messages, such as `STS`.
    who: &'static str,
    /// The limit on one request.
    limit: Duration,
    facts: Arc<SourceServer>,
}

/// A request.
pub(super) struct KeyRequest<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap<HeaderValue>,
    pub(super) body: Zeroizing<String>,
}

impl<'a> KeyRequest<'a> {
    /// A GET.
    pub(super) fn get(url: &'a Url, headers: HeaderMap<HeaderValue>) -> Self {
        Self { method: Method::GET, url, headers, body: Zeroizing::default() }
    }
}

/// A complete answer.
pub(super) struct KeyAnswer {
    pub(super) status: StatusCode,
    /// The time of the server's clock.
    pub(super) date: Option<SystemTime>,
    pub(super) body: Zeroizing<String>,
}

impl KeyServer {
    /// A server. Nothing is sent yet.
    pub(super) fn new(
        tls: Arc<TlsClient>,
        resolver: Resolver,
        who: &'static str,
        limit: Duration,
    ) -> reqwest::Result<Self> {
        Ok(Self { http: HttpClient::new(tls, resolver, None)?, who, limit, facts: Arc::default() })
    }

    /// What the answers have shown of the server.
    pub(super) fn facts(&self) -> Arc<SourceServer> {
        self.facts.clone()
    }

    /// Sends a request, and reads its answer.
    pub(super) async fn send(&self, request: KeyRequest<'_>) -> Result<KeyAnswer, SourceError> {
        let failed = |error: reqwest::Error| self.http.request_error(&error, self.who);
        let sent_at = SystemTime::now();
        let KeyRequest { method, url, headers, body } = request;
        let client = self.http.client().map_err(failed)?;
        let http = client.request(method, url.clone()).timeout(self.limit).headers(headers);
        let answer = http.body(body.to_string()).send().await;
        let mut answer = answer.inspect_err(|error| learn_from_error(&self.facts, error)).map_err(failed)?;
        learn_from(&self.facts, &answer, sent_at);
        let date = date(&answer);
        let body = self.http.body(&mut answer, self.who).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(KeyAnswer { status: answer.status(), date, body: Zeroizing::new(text) })
    }

    /// The error of an answer that is no success. `code` and `message` are what the server says, and `secrets` what
    /// it may repeat.
    pub(super) fn refused<'s>(
        &self,
        answer: &KeyAnswer,
        code: Option<&str>,
        message: Option<&str>,
        secrets: impl IntoIterator<Item = &'s str>,
    ) -> SourceError {
        let echoes = Echoes::of(secrets);
        let safe = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            echoes.mask(&mut bytes);
            sanitize(&String::from_utf8_lossy(&bytes))
        };
        let status = answer.status;
        let kind = match status.as_u16() {
            429 => SourceErrorKind::RateLimited,
            408 | 500..=599 => SourceErrorKind::ServerError,
            300..=399 => SourceErrorKind::Malformed,
            // STS could not reach the identity provider (`IDPCommunicationError`), or limits requests (`Throttling`).
            _ if code.is_some_and(|code| code.starts_with("IDPCommunication") || code.contains("hrottl")) => {
                SourceErrorKind::ServerError
            }
            _ => SourceErrorKind::Refused,
        };
        let code = code.map(|code| ErrorCode::Other(safe(code)));
        let mut text = format!("{} answered {}", self.who, status.as_u16());
        if let Some(code) = &code {
            text = format!("{text} {}", code.as_str());
        }
        if let Some(message) = message.filter(|message| !message.is_empty()) {
            text = format!("{text}: {}", safe(message));
        }
        SourceError { code, status: Some(status.as_u16()), ..SourceError::new(kind, text) }
    }
}
