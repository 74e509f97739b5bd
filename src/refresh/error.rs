//! Why a value could not be obtained.

use std::time::Duration;

use super::error_code::ErrorCode;

/// Why a value could not be obtained, classified once. Nothing in it can hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// The class of the failure; the `reason` label of `sidekey_token_requests_total`.
    pub kind: SourceErrorKind,
    /// For the log and the status page: short, no control characters, no secret.
    pub message: String,
    /// How long the server asked to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The error code of the server's answer, if it has one.
    pub code: Option<ErrorCode>,
    /// The status of the server's answer, if there is an answer.
    pub status: Option<u16>,
}

impl SourceError {
    /// A failure without `Retry-After`, code and status.
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, code: None, status: None }
    }

    /// Whether two failures have the same cause. Words with a digit in them do not count: servers put the time and the number of the
    /// request into their messages, and so do messages of TLS.
    pub(super) fn is_same_cause(&self, other: &Self) -> bool {
        (self.kind, self.status, &self.code) == (other.kind, other.status, &other.code)
            && self.words().eq(other.words())
    }

    /// The words of the message that have no digit.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.message.split_whitespace().filter(|word| !word.bytes().any(|byte| byte.is_ascii_digit()))
    }

    /// Whether the server answered with this error code.
    pub fn has_code(&self, code: &ErrorCode) -> bool {
        self.code.as_ref() == Some(code)
    }
}

/// The class of a failure. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// No connection: DNS, TCP.
    Connect,
    /// TLS: the certificate was not accepted, or the handshake failed.
    Tls,
    /// No complete answer within the time limit.
    Timeout,
    /// 429, or 503 with `Retry-After`.
    RateLimited,
    /// 5xx, 408.
    ServerError,
    /// An answer of another form than expected: empty, HTML, broken JSON, too large, a redirect.
    Malformed,
    /// Nothing was sent: something on this machine is in the way, such as a file that cannot be read.
    Local,
    /// The server rejected the client or the request (RFC 6749 §5.2). A retry can succeed only after a change
    /// on either side.
    Refused,
    /// A person must run `sidekey login` first. No request was made.
    LoginRequired,
}

/// Every class.
const ALL: [SourceErrorKind; 9] = [
    SourceErrorKind::Connect,
    SourceErrorKind::Tls,
    SourceErrorKind::Timeout,
    SourceErrorKind::RateLimited,
    SourceErrorKind::ServerError,
    SourceErrorKind::Malformed,
    SourceErrorKind::Local,
    SourceErrorKind::Refused,
    SourceErrorKind::LoginRequired,
];

impl SourceErrorKind {
    /// The value of the metric label.
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

    /// The class with this label.
    pub fn named(label: &str) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.as_str() == label)
    }

    /// Whether a person has to change something before a retry can succeed.
    pub fn needs_intervention(self) -> bool {
        matches!(self, Self::Refused | Self::LoginRequired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_in_times_and_numbers_have_the_same_cause() {
        let error = |status, message: &str| SourceError {
            status: Some(status),
            ..SourceError::new(SourceErrorKind::Refused, message)
        };
        let first =
            error(401, "AADSTS50034: no such user. Trace ID: 0c1d-4a Timestamp: 2026-01-01 10:00:00Z");
        for (other, expected) in [
            (
                error(401, "AADSTS50034: no such user. Trace ID: 7f00-12 Timestamp: 2026-01-01 10:05:00Z"),
                true,
            ),
            (error(400, &first.message), false),
            (
                error(401, "AADSTS50034: no such tenant. Trace ID: 0c1d-4a Timestamp: 2026-01-01 10:00:00Z"),
                false,
            ),
            (SourceError { kind: SourceErrorKind::Malformed, ..first.clone() }, false),
            (SourceError { code: Some(ErrorCode::InvalidGrant), ..first.clone() }, false),
        ] {
            assert_eq!(first.is_same_cause(&other), expected, "{other}");
        }
    }
}
