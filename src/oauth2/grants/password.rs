//! `password` (RFC 6749 §4.3): the resource owner's name and password, for machine accounts of providers that
//! have no other grant. If the response has a refresh token, the password is not sent again until that token
//! is rejected.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::refresh_token::{is_about_refresh_token, refresh};
use crate::config::Password;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::SourceError;
use crate::secret::Secret;

/// The password grant at one endpoint.
pub struct PasswordGrant {
    endpoint: TokenEndpoint,
    owner: Password,
    /// The refresh token that was rejected last. While the password does not help either, it is not sent
    /// again.
    rejected: Mutex<Option<Secret>>,
}

impl PasswordGrant {
    /// Prepares the grant.
    pub fn new(endpoint: TokenEndpoint, owner: Password) -> Self {
        Self { endpoint, owner, rejected: Mutex::default() }
    }

    async fn request_with_password(&self) -> Result<TokenResponse, SourceError> {
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

#[async_trait]
impl TokenSource for PasswordGrant {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let rejected = self.rejected.lock().clone();
        if let Some(refresh_token) = refresh_token.filter(|token| Some(*token) != rejected.as_ref()) {
            match refresh(&self.endpoint, refresh_token, None).await {
                Err(error) if is_about_refresh_token(&error) => {
                    tracing::debug!("refresh token rejected, the password is sent: {error}");
                    *self.rejected.lock() = Some(refresh_token.clone());
                }
                outcome => return outcome,
            }
        }
        let issued = self.request_with_password().await?;
        // A provider may issue the same refresh token again.
        *self.rejected.lock() = None;
        Ok(issued)
    }
}
