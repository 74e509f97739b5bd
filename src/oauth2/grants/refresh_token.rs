//! `refresh_token` (RFC 6749 §6): starts with a refresh token that was obtained elsewhere, and continues with
//! the ones that the endpoint issues in exchange.

use async_trait::async_trait;

use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The refresh-token grant at one endpoint.
pub struct RefreshTokenGrant {
    endpoint: TokenEndpoint,
    seed: Secret,
}

impl RefreshTokenGrant {
    /// Prepares the grant; `seed` is the first refresh token.
    pub fn new(endpoint: TokenEndpoint, seed: Secret) -> Self {
        Self { endpoint, seed }
    }
}

#[async_trait]
impl TokenSource for RefreshTokenGrant {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let scope = Some(self.endpoint.scope()).filter(|scope| !scope.is_empty());
        refresh(&self.endpoint, refresh_token.unwrap_or(&self.seed), scope).await
    }
}

/// One refresh. Without `scope` the token gets the scope that was granted originally.
pub(crate) async fn refresh(
    endpoint: &TokenEndpoint,
    token: &Secret,
    scope: Option<&str>,
) -> Result<TokenResponse, SourceError> {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
    fields.extend(scope.map(|scope| ("scope", scope)));
    let mut issued = endpoint.request(&fields).await?;
    // If the response has none, the current one stays in use (RFC 6749 §6).
    issued.refresh_token.get_or_insert_with(|| token.clone());
    Ok(issued)
}

/// What the failure of a refresh says about the refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshFailure {
    /// The refresh token was rejected: another way to a token may succeed at once.
    Rejected,
    /// The server failed, or it rejected the client. Some servers answer so about a refresh token that they
    /// no longer have.
    Unclear,
    /// The failure has another cause: there was no answer, the server asks for patience, or the proof of
    /// possession is wrong.
    Other,
}

impl RefreshFailure {
    /// Classifies the failure of a refresh.
    ///
    /// RFC 6749 §5.2 has `invalid_grant` for a refresh token that is rejected. Providers also answer with other
    /// codes, with a status alone, with a web page or with nothing.
    pub(crate) fn of(error: &SourceError) -> Self {
        let Some(status) = error.status else { return Self::Other };
        match (error.kind, error.code.as_ref()) {
            (SourceErrorKind::Refused, Some(ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce)) => {
                Self::Other
            }
            (SourceErrorKind::Refused, Some(ErrorCode::InvalidClient)) => Self::Unclear,
            // The client may not use *this* grant; with 401 it was not authenticated (Keycloak).
            (SourceErrorKind::Refused, Some(ErrorCode::UnauthorizedClient)) if status == 401 => Self::Unclear,
            (SourceErrorKind::Refused | SourceErrorKind::Malformed, _)
            | (SourceErrorKind::ServerError, Some(ErrorCode::InvalidGrant)) => Self::Rejected,
            (SourceErrorKind::ServerError, Some(ErrorCode::SlowDown)) => Self::Other,
            (SourceErrorKind::ServerError, _)
                if error.retry_after.is_none() && !matches!(status, 408 | 425) =>
            {
                Self::Unclear
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth2::client::raw_response::RawResponse;
    use crate::oauth2::client::response_members::parse_object;

    fn failure(status: u16, headers: &[(&'static str, &str)], body: &str) -> RefreshFailure {
        let answer = RawResponse::for_test(status, headers, body.as_bytes());
        RefreshFailure::of(&parse_object(&answer).unwrap_err())
    }

    #[test]
    fn refusal_is_about_the_refresh_token_unless_it_says_otherwise() {
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (400, r#"{"error":"invalid_request"}"#),
            (401, r#"{"error":"invalid_token"}"#),
            (403, r#"{"error":"access_denied"}"#),
            (400, r#"{"error":"unsupported_grant_type"}"#),
            (400, r#"{"error":"unauthorized_client"}"#),
            (400, r#"{"error":"invalid_scope"}"#),
            (400, r#"{"error":"bad_refresh_token"}"#),
            (400, r#"{"error":{"code":400,"message":"expired"}}"#),
            (200, r#"{"error":"token_expired"}"#),
            (400, ""),
            (401, ""),
            (403, ""),
            (404, ""),
            (410, ""),
            (422, r#"{"message":"no"}"#),
            (400, "<html>no</html>"),
            (401, "<html>no</html>"),
            (200, ""),
            (200, "<html>Sign in</html>"),
            (302, ""),
            (500, r#"{"error":"invalid_grant"}"#),
        ] {
            assert_eq!(failure(status, &[], body), RefreshFailure::Rejected, "{status} {body}");
        }
    }

    #[test]
    fn failure_of_server_or_client_may_be_about_the_refresh_token() {
        for (status, body) in [
            (401, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"invalid_client"}"#),
            (401, r#"{"error":"unauthorized_client"}"#),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (400, r#"{"error":"server_error"}"#),
            (500, ""),
            (500, r#"{"message":"NullPointerException"}"#),
            (502, "<html>"),
            (503, r#"{"error":"x"}"#),
        ] {
            assert_eq!(failure(status, &[], body), RefreshFailure::Unclear, "{status} {body}");
        }
    }

    #[test]
    fn failure_with_another_cause_is_not_about_the_refresh_token() {
        for (status, body) in [
            (400, r#"{"error":"invalid_dpop_proof"}"#),
            (400, r#"{"error":"use_dpop_nonce"}"#),
            (400, r#"{"error":"slow_down"}"#),
            (408, ""),
            (425, ""),
            (429, ""),
            (429, r#"{"error":"invalid_grant"}"#),
        ] {
            assert_eq!(failure(status, &[], body), RefreshFailure::Other, "{status} {body}");
        }
        for (status, body) in [(503, ""), (500, r#"{"error":"server_error"}"#)] {
            assert_eq!(
                failure(status, &[("retry-after", "5")], body),
                RefreshFailure::Other,
                "{status} {body}"
            );
        }
        for kind in [SourceErrorKind::Connect, SourceErrorKind::Timeout, SourceErrorKind::Malformed] {
            assert_eq!(RefreshFailure::of(&SourceError::new(kind, "no answer")), RefreshFailure::Other);
        }
    }
}
