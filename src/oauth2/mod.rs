//! OAuth2 tokens: obtained by a [`TokenSource`], kept in a [`TokenStore`], renewed by a [`refresher`].
//!
//! A source knows nothing of schedules, a store nothing of networks, and the schedule nothing of clocks. Metrics are
//! a decorator around the source.

#[doc(hidden)]
pub mod bench;
pub mod claims;
pub mod client;
pub mod dpop_key;
mod expiry;
pub mod grants;
mod jws;
pub mod refresh_tokens;
pub mod refresher;
pub mod schedule;
pub mod source;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;

use crate::secret::{InvalidSecret, Secret};

pub use client::discovery::LoginEndpoint;
pub use expiry::{ClockReading, Expiry};
pub use source::with_metrics::WithMetrics;
pub use source::with_tracing::WithTracing;
pub use store::{RefreshDecision, RefreshReason, RefreshStatus, TokenStore};

/// Something that can fetch a token: one per grant, and decorators around them.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Makes one token request. Bounded in time by the source itself.
    ///
    /// `refresh_token` is the refresh token to use, where one was issued or a login left one: a source does not remember it, the
    /// decorator that persists it does. What is issued in its place goes into [`TokenResponse::refresh_token`].
    async fn fetch(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError>;

    /// Waits until what a token request is made with was changed from outside, such as by a login: the token is then
    /// refreshed at once. May be dropped and called again.
    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    async fn changed(&self) {
        (**self).changed().await;
    }

    async fn fetch(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        (**self).fetch(refresh_token).await
    }
}

/// What a token endpoint issued.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// When it expires, counted from when the request was sent, so that a slow answer never makes it look younger.
    pub expiry: Expiry,
    /// Granted scope, where the answer names it (RFC 6749 §5.1).
    pub scope: Option<String>,
    /// The refresh token to hold from now on: the answer's, or the one held where the answer has none (RFC 6749 §6).
    pub refresh_token: Option<Secret>,
}

/// A token as the request path uses it.
pub struct Token {
    /// `Bearer …` or `DPoP …`, marked sensitive, built once; a request clones it.
    pub header: HeaderValue,
    /// When it must no longer be sent.
    pub expiry: Expiry,
    /// Granted scope, where the answer names it; fit for a page.
    pub scope: Option<String>,
    /// The hash of the token, where it is bound to a key (RFC 9449 §4.2).
    pub(crate) ath: Option<String>,
    /// Counts the tokens of this store, from 1: tells a late 401 for an old token from one for the current.
    pub generation: u64,
}

impl Token {
    /// `bound`: to a key, so that it is sent with a proof.
    fn new(issued: &TokenResponse, generation: u64, bound: bool) -> Result<Self, InvalidSecret> {
        let token = issued.access_token.expose();
        let scheme = if bound { "DPoP" } else { "Bearer" };
        let mut header = HeaderValue::try_from(format!("{scheme} {token}"))
            .map_err(|_| InvalidSecret::Control { at: 0 })?;
        header.set_sensitive(true);
        let ath = bound.then(|| dpop_key::access_token_hash(token));
        Ok(Self { header, expiry: issued.expiry, scope: issued.scope.clone(), ath, generation })
    }

    /// `Bearer` or `DPoP`: what stands before the token itself.
    pub fn scheme(&self) -> &str {
        self.header.to_str().ok().and_then(|value| value.split(' ').next()).unwrap_or_default()
    }
}

/// Text of a stranger, fit for a log or a terminal: short, on one line, ASCII.
pub fn sanitize(text: &str) -> String {
    client::response::sanitize(text)
}

/// The token's value is never printed.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

/// Why a token request failed, classified once. Nothing in it can hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// Closed set; the `reason` label of `sidekey_token_requests_total`.
    pub reason: SourceErrorKind,
    /// For the log and the status page: short, no control characters, no secret.
    pub message: String,
    /// How long the endpoint asked us to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The `error` code of the endpoint's answer (RFC 6749 §5.2), fit for a log.
    pub code: Option<String>,
}

impl SourceError {
    /// A failure without `Retry-After`.
    pub fn new(reason: SourceErrorKind, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None, code: None }
    }

    /// Whether the endpoint answered with this `error` code.
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// No connection: DNS, TCP.
    Connect,
    /// TLS: the certificate was not accepted, or the handshake failed.
    Tls,
    /// No whole answer within the time limit.
    Timeout,
    /// 429, or 503 with `Retry-After`.
    RateLimited,
    /// 5xx, 408.
    ServerError,
    /// An answer that is no token answer: empty, HTML, broken JSON, too large, a redirect.
    Malformed,
    /// Nothing was sent: something on this machine is in the way, such as a file that cannot be read.
    Local,
    /// The endpoint refused the client or the grant (RFC 6749 §5.2): only a change on one side helps.
    Refused,
    /// A person must run `sidekey login` first. No request was made.
    LoginRequired,
}

impl SourceErrorKind {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Malformed => "malformed",
            Self::Local => "local",
            Self::Refused => "refused",
            Self::LoginRequired => "login_required",
        }
    }
}
