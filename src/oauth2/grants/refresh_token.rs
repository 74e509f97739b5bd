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

/// Whether the failure of a refresh may be about the refresh token, so that another way to a token may
/// succeed.
///
/// RFC 6749 §5.2 has `invalid_grant` for it. Providers also answer with other codes, with a status alone, with
/// a web page or with nothing. So every answer may be about the refresh token, except those that ask for
/// patience, and those that are about the client or its proof. There must be an answer.
pub(crate) fn is_about_refresh_token(error: &SourceError) -> bool {
    let Some(status) = error.status else { return false };
    match error.kind {
        SourceErrorKind::Refused => match error.code {
            Some(ErrorCode::InvalidClient | ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce) => false,
            // The client may not use *this* grant; with 401 it was not authenticated (Keycloak).
            Some(ErrorCode::UnauthorizedClient) => status != 401,
            _ => true,
        },
        SourceErrorKind::Malformed => true,
        // Some servers fail over a refresh token that they no longer have.
        SourceErrorKind::ServerError => error.has_code(&ErrorCode::InvalidGrant),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth2::client::raw_response::RawResponse;
    use crate::oauth2::client::response_members::parse_object;

    fn is_about(status: u16, body: &str) -> bool {
        let answer = RawResponse::for_test(status, &[], body.as_bytes());
        is_about_refresh_token(&parse_object(&answer).unwrap_err())
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
            assert!(is_about(status, body), "{status} {body}");
        }
    }

    #[test]
    fn refusal_of_client_or_transient_failure_is_not() {
        for (status, body) in [
            (401, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"invalid_client"}"#),
            (401, r#"{"error":"unauthorized_client"}"#),
            (400, r#"{"error":"invalid_dpop_proof"}"#),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (400, r#"{"error":"slow_down"}"#),
            (400, r#"{"error":"server_error"}"#),
            (408, ""),
            (429, ""),
            (429, r#"{"error":"invalid_grant"}"#),
            (500, ""),
            (502, "<html>"),
            (503, r#"{"error":"x"}"#),
        ] {
            assert!(!is_about(status, body), "{status} {body}");
        }
        for kind in [SourceErrorKind::Connect, SourceErrorKind::Timeout, SourceErrorKind::Malformed] {
            assert!(!is_about_refresh_token(&SourceError::new(kind, "no answer")));
        }
    }
}
