//! Token requests without a refresh token, of which nothing is kept.

use async_trait::async_trait;

use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{Source, SourceError};

/// A source whose token requests need no refresh token.
pub struct Unpersisted<S>(pub S);

#[async_trait]
impl<S: TokenSource> Source<TokenResponse> for Unpersisted<S> {
    async fn fetch(&self) -> Result<TokenResponse, SourceError> {
        self.0.request_token(None).await
    }
}
