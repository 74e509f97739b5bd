//! `password` (RFC 6749 §4.3): the resource owner's name and password, for machine accounts of providers that
//! have no other grant. If the response has a refresh token, the password is not sent again until that token
//! is rejected.

use async_trait::async_trait;

use super::refresh_token::refresh;
use crate::config::Password;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{ErrorCode, SourceError};
use crate::secret::Secret;

/// The password grant at one endpoint.
pub struct PasswordGrant {
    endpoint: TokenEndpoint,
    owner: Password,
}

impl PasswordGrant {
    /// Prepares the grant.
    pub fn new(endpoint: TokenEndpoint, owner: Password) -> Self {
        Self { endpoint, owner }
    }
}

#[async_trait]
impl TokenSource for PasswordGrant {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        if let Some(refresh_token) = refresh_token {
            match refresh(&self.endpoint, refresh_token, None).await {
                Err(error) if error.has_code(&ErrorCode::InvalidGrant) => {}
                outcome => return outcome,
            }
        }
        let scope = self.endpoint.scope();
        let mut fields = vec![
            ("grant_type", "password"),
            ("username", &self.owner.username),
            ("password", self.owner.password.expose()),
        ];
        if !scope.is_empty() {
            fields.push(("scope", scope));
        }
        self.endpoint.request(&fields).await
    }
}
