//! `client_credentials` (RFC 6749 §4.4): the client requests a token on its own behalf. A `refresh_token` in
//! the response is ignored (§4.4.3).

use async_trait::async_trait;

use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::SourceError;
use crate::secret::Secret;

/// The client-credentials grant at one endpoint.
pub struct ClientCredentials {
    endpoint: TokenEndpoint,
}

impl ClientCredentials {
    /// Prepares the grant.
    pub fn new(endpoint: TokenEndpoint) -> Self {
        Self { endpoint }
    }
}

#[async_trait]
impl TokenSource for ClientCredentials {
    async fn request_token(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let mut fields = vec![("grant_type", "client_credentials")];
        let scope = self.endpoint.scope();
        if !scope.is_empty() {
            fields.push(("scope", scope));
        }
        let issued = self.endpoint.request(&fields).await?;
        Ok(TokenResponse { refresh_token: None, ..issued })
    }
}
