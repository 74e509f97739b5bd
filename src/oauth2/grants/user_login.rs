//! What the grants that begin with a person (`authorization_code`, `device_code`) do after the login: they
//! use the refresh token that it left. Without one, no request is made.

use std::fmt::Write as _;

use async_trait::async_trait;

use super::refresh_token::{RefreshFailure, refresh};
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// A source that uses the refresh token of a login.
pub struct UserLoginGrant {
    endpoint: TokenEndpoint,
    service: String,
}

impl UserLoginGrant {
    /// Prepares the source; `service` is named in the message if a login is needed.
    pub fn new(endpoint: TokenEndpoint, service: String) -> Self {
        Self { endpoint, service }
    }
}

#[async_trait]
impl TokenSource for UserLoginGrant {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let Some(refresh_token) = refresh_token else {
            let message = format!("no login yet: run `sidekey login {}`", self.service);
            return Err(SourceError::new(SourceErrorKind::LoginRequired, message));
        };
        refresh(&self.endpoint, refresh_token, None).await.map_err(|mut error| {
            let ended = match RefreshFailure::of(&error) {
                RefreshFailure::Rejected if error.has_code(&ErrorCode::InvalidGrant) => "the login has ended",
                RefreshFailure::Rejected => "the login may have ended",
                RefreshFailure::Unclear => "if this does not pass, the login may have ended",
                RefreshFailure::Other => return error,
            };
            let _ = write!(error.message, "; {ended}: run `sidekey login {}`", self.service);
            error
        })
    }
}
