//! One HTTP request to a server that gives a credential, and what its failure means.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use crate::config::ProxyConfig;
use crate::net::dns::Resolver;
use crate::oauth2::client::http::HttpClient;
use crate::oauth2::client::observed::{date, learn_from, learn_from_error};
use crate::oauth2::sanitize;
use crate::proto::retry_after::retry_after;
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind, SourceServer};
use crate::secret::Echoes;
use crate::tls::client::TlsClient;

/// A client toward a server that gives a credential. It follows no redirect, and uses no proxy of the environment.
pub(super) struct ServerClient {
    http: HttpClient,
    /// The server in messages, such as `STS`.
    who: &'static str,
    /// The limit on one request.
    limit: Duration,
    facts: Arc<SourceServer>,
}

/// A request.
pub(super) struct ServerRequest<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap<HeaderValue>,
    pub(super) body: Zeroizing<String>,
}

impl<'a> ServerRequest<'a> {
    /// A GET.
    pub(super) fn get(url: &'a Url, headers: HeaderMap<HeaderValue>) -> Self {
        Self { method: Method::GET, url, headers, body: Zeroizing::default() }
    }
}

/// A complete answer.
pub(super) struct ServerAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) sent_at: SystemTime,
    /// The time of the server's clock.
    pub(super) date: Option<SystemTime>,
    pub(super) body: Zeroizing<String>,
}

impl ServerAnswer {
    /// The members of a JSON object; none if the body is something else.
    pub(super) fn members(&self) -> Map<String, Value> {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The class of a failure, by its status.
    pub(super) fn failure_kind(&self) -> SourceErrorKind {
        match self.status.as_u16() {
            429 => SourceErrorKind::RateLimited,
            408 | 425 | 500..=599 => SourceErrorKind::ServerError,
            300..=399 => SourceErrorKind::Malformed,
            _ => SourceErrorKind::Refused,
        }
    }
}

/// What a server says of a failure, and what it may repeat.
#[derive(Default)]
pub(super) struct Stated<'s> {
    pub(super) code: Option<&'s str>,
    pub(super) message: Option<&'s str>,
    pub(super) secrets: &'s [&'s str],
}

impl ServerClient {
    /// A client. Nothing is sent yet.
    pub(super) fn new(
        tls: Arc<TlsClient>,
        resolver: Resolver,
        proxy: Option<&ProxyConfig>,
        (who, limit): (&'static str, Duration),
    ) -> reqwest::Result<Self> {
        Ok(Self { http: HttpClient::new(tls, resolver, proxy)?, who, limit, facts: Arc::default() })
    }

    /// What the answers have shown of the server.
    pub(super) fn facts(&self) -> Arc<SourceServer> {
        self.facts.clone()
    }

    /// Sends a request, and reads its answer.
    pub(super) async fn send(&self, request: ServerRequest<'_>) -> Result<ServerAnswer, SourceError> {
        let failed = |error: reqwest::Error| self.http.request_error(&error, self.who);
        let sent_at = SystemTime::now();
        let ServerRequest { method, url, headers, body } = request;
        let client = self.http.client().map_err(failed)?;
        let http = client.request(method, url.clone()).timeout(self.limit).headers(headers);
        let answer = http.body(body.to_string()).send().await;
        let mut answer = answer.inspect_err(|error| learn_from_error(&self.facts, error)).map_err(failed)?;
        learn_from(&self.facts, &answer, sent_at);
        let date = date(&answer);
        let body = self.http.body(&mut answer, self.who).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        Ok(ServerAnswer { status, headers, sent_at, date, body: Zeroizing::new(text) })
    }

    /// The error of an answer that is no success.
    pub(super) fn refused(
        &self,
        kind: SourceErrorKind,
        answer: &ServerAnswer,
        stated: &Stated<'_>,
    ) -> SourceError {
        let echoes = Echoes::of(stated.secrets.iter().copied());
        let safe = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            echoes.mask(&mut bytes);
            sanitize(&String::from_utf8_lossy(&bytes))
        };
        let status = answer.status.as_u16();
        let code = stated.code.map(|code| ErrorCode::Other(safe(code)));
        let mut text = format!("{} answered {status}", self.who);
        if let Some(code) = &code {
            text = format!("{text} {}", code.as_str());
        }
        if let Some(message) = stated.message.filter(|message| !message.is_empty()) {
            text = format!("{text}: {}", safe(message));
        }
        let retry_after = retry_after(&answer.headers, answer.sent_at);
        SourceError { code, retry_after, status: Some(status), ..SourceError::new(kind, text) }
    }
}
