//! What requests a token.

use std::sync::Arc;

use async_trait::async_trait;

use crate::oauth2::token::TokenResponse;
use crate::refresh::SourceError;
use crate::secret::Secret;

/// Makes token requests: one implementation for each grant, and decorators around them.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Makes one token request. The source itself limits how long that takes.
    ///
    /// `refresh_token` is the refresh token to use, if one was issued or a login left one. A source does not
    /// keep it: the decorator that persists it does. The one that is issued in its place is
    /// [`TokenResponse::refresh_token`].
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError>;
}

#[async_trait]
impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        (**self).request_token(refresh_token).await
    }
}
