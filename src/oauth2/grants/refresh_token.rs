//! `refresh_token` (RFC 6749 §6): starts with a refresh token that was obtained elsewhere, and continues with
//! the ones that the endpoint issues in exchange.

use async_trait::async_trait;

use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::SourceError;
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
