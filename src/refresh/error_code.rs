//! The error codes that decisions depend on.

/// The error code of a server's answer (RFC 6749 §5.2, and what other specifications add to it).
///
/// A code of this list is recognized in the text as it was received, before anything is redacted: a secret
/// that happens to be a part of a code must not change a decision. Such a code may always be shown, because
/// its text does not come from the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorCode {
    /// `access_denied`
    AccessDenied,
    /// `authorization_pending` (RFC 8628 §3.5)
    AuthorizationPending,
    /// `invalid_client`
    InvalidClient,
    /// `invalid_dpop_proof` (RFC 9449 §5)
    InvalidDpopProof,
    /// `invalid_grant`
    InvalidGrant,
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_scope`
    InvalidScope,
    /// `invalid_target` (RFC 8707 §2)
    InvalidTarget,
    /// `invalid_token` (RFC 6750 §3.1)
    InvalidToken,
    /// `server_error`
    ServerError,
    /// `slow_down` (RFC 8628 §3.5)
    SlowDown,
    /// `temporarily_unavailable`
    TemporarilyUnavailable,
    /// `unauthorized_client`
    UnauthorizedClient,
    /// `unsupported_grant_type`
    UnsupportedGrantType,
    /// `use_dpop_nonce` (RFC 9449 §8)
    UseDpopNonce,
    /// Any other code: its text, fit for a log.
    Other(String),
}

/// The codes with their texts.
const KNOWN: [(&str, ErrorCode); 15] = [
    ("access_denied", ErrorCode::AccessDenied),
    ("authorization_pending", ErrorCode::AuthorizationPending),
    ("invalid_client", ErrorCode::InvalidClient),
    ("invalid_dpop_proof", ErrorCode::InvalidDpopProof),
    ("invalid_grant", ErrorCode::InvalidGrant),
    ("invalid_request", ErrorCode::InvalidRequest),
    ("invalid_scope", ErrorCode::InvalidScope),
    ("invalid_target", ErrorCode::InvalidTarget),
    ("invalid_token", ErrorCode::InvalidToken),
    ("server_error", ErrorCode::ServerError),
    ("slow_down", ErrorCode::SlowDown),
    ("temporarily_unavailable", ErrorCode::TemporarilyUnavailable),
    ("unauthorized_client", ErrorCode::UnauthorizedClient),
    ("unsupported_grant_type", ErrorCode::UnsupportedGrantType),
    ("use_dpop_nonce", ErrorCode::UseDpopNonce),
];

impl ErrorCode {
    /// The code that a received text is, in any case and with any separator; any other one is shown as `safe`
    /// makes it.
    pub fn read(received: &str, safe: impl FnOnce(&str) -> String) -> Self {
        let word = received.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        let known = KNOWN.into_iter().find(|(text, _)| *text == word);
        known.map_or_else(|| Self::Other(safe(received)), |(_, code)| code)
    }

    /// The text of the code, fit for a log.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => KNOWN.iter().find(|(_, code)| code == known).map_or("", |(text, _)| *text),
        }
    }

    /// Whether the server asks to try again later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::ServerError | Self::SlowDown | Self::TemporarilyUnavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_code_is_recognized_before_it_is_redacted() {
        let redacted = |received: &str| ErrorCode::read(received, |_| "****".into());
        for (text, code) in KNOWN {
            assert_eq!((redacted(text), code.as_str()), (code.clone(), text));
        }
        for other in ["Invalid_Grant", " invalid_grant ", "invalid-grant", "INVALID GRANT"] {
            assert_eq!(redacted(other), ErrorCode::InvalidGrant, "{other}");
        }
        for other in ["", "invalid_grants", "invalid_grant: x", "grant"] {
            assert_eq!(redacted(other).as_str(), "****", "{other}");
        }
    }
}
