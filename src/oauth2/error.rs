//! Why a token request failed.

use std::time::Duration;

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
