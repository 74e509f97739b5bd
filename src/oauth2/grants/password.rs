//! `password` (RFC 6749 §4.3): the resource owner's name and password, for machine accounts of providers that
//! have no other grant. If the response has a refresh token, the password is not sent again until that token
//! is rejected, or keeps failing.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::refresh_token::{RefreshFailure, refresh};
use super::unclear_failures::UnclearFailures;
use crate::config::Password;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{Expiry, SourceError};
use crate::secret::Secret;

/// The password grant at one endpoint.
pub struct PasswordGrant {
    endpoint: TokenEndpoint,
    owner: Password,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The refresh token that was rejected last. While the password does not help either, it is not sent
    /// again.
    rejected: Option<Secret>,
    /// Failures that may or may not be about the refresh token.
    unclear: UnclearFailures,
    /// When the access token ends that was issued last.
    current_ends: Option<Expiry>,
}

impl PasswordGrant {
    /// Prepares the grant.
    pub fn new(endpoint: TokenEndpoint, owner: Password) -> Self {
        Self { endpoint, owner, state: Mutex::default() }
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

    /// Requests a token, with the refresh token if that may succeed.
    async fn request(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let rejected = self.state.lock().rejected.clone();
        let Some(refresh_token) = refresh_token.filter(|token| Some(*token) != rejected.as_ref()) else {
            return self.request_with_password().await;
        };
        let error = match refresh(&self.endpoint, refresh_token, None).await {
            Err(error) => error,
            issued => return issued,
        };
        match RefreshFailure::of(&error) {
            RefreshFailure::Rejected => {
                tracing::debug!("refresh token rejected, the password is sent: {error}");
                self.state.lock().rejected = Some(refresh_token.clone());
                self.request_with_password().await
            }
            RefreshFailure::Unclear if self.is_password_due(refresh_token) => {
                tracing::debug!("refresh failed, the password is sent: {error}");
                self.request_with_password().await
            }
            RefreshFailure::Unclear | RefreshFailure::Other => Err(error),
        }
    }

    fn is_password_due(&self, refresh_token: &Secret) -> bool {
        let mut state = self.state.lock();
        let has_token = state.current_ends.is_some_and(|end| !end.remaining().is_zero());
        state.unclear.is_other_way_due(refresh_token, has_token)
    }
}

#[async_trait]
impl TokenSource for PasswordGrant {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let issued = self.request(refresh_token).await?;
        // A provider may issue the same refresh token again.
        let current_ends = issued.access.as_ref().ok().map(|access| access.expiry);
        *self.state.lock() = State { current_ends, ..State::default() };
        Ok(issued)
    }
}
