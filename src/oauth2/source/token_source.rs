//! What can request a token.

use std::sync::Arc;

use async_trait::async_trait;

use crate::oauth2::error::SourceError;
use crate::oauth2::token::TokenResponse;
use crate::secret::Secret;

/// Something that can fetch a token: one per grant, and decorators around them.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Makes one token request. Bounded in time by the source itself.
    ///
    /// `refresh_token` is the refresh token to use, where one was issued or a login left one: a source does not remember it, the
    /// decorator that persists it does. What is issued in its place goes into [`TokenResponse::refresh_token`].
    async fn fetch(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError>;

    /// Waits until what a token request is made with was changed from outside, such as by a login: the token is then
    /// refreshed at once. May be dropped and called again.
    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    async fn changed(&self) {
        (**self).changed().await;
    }

    async fn fetch(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        (**self).fetch(refresh_token).await
    }
}
