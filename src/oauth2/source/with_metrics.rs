//! A decorator that counts and times token requests, so that no grant has to.

use std::time::Instant;

use async_trait::async_trait;

use crate::metrics::SharedTokenMetrics;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// A source whose requests are counted for each service that shares the token.
pub struct WithMetrics<S> {
    inner: S,
    metrics: SharedTokenMetrics,
}

impl<S> WithMetrics<S> {
    /// Wraps a source.
    pub fn new(inner: S, metrics: SharedTokenMetrics) -> Self {
        Self { inner, metrics }
    }
}

#[async_trait]
impl<S: TokenSource> TokenSource for WithMetrics<S> {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let start = Instant::now();
        let result = self.inner.request_token(refresh_token).await;
        let reason = TokenResponse::failure(&result).map(|error| error.kind);
        if reason == Some(SourceErrorKind::LoginRequired) {
            // No request was sent.
            return result;
        }
        let reason = reason.map_or("", SourceErrorKind::as_str);
        self.metrics.request_finished(reason, start.elapsed());
        result
    }
}
