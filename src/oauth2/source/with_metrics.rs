//! Counts and times token requests: a decorator, so that no grant knows that it is measured.

use std::time::Instant;

use async_trait::async_trait;

use crate::metrics::TokenUsers;
use crate::oauth2::{FetchError, FetchFailure, Issued, TokenSource};
use crate::secret::Secret;

/// A source whose requests are counted for every service that shares the token.
pub struct Metered<S> {
    inner: S,
    users: TokenUsers,
}

impl<S> Metered<S> {
    /// Wraps a source.
    pub fn new(inner: S, users: TokenUsers) -> Self {
        Self { inner, users }
    }
}

#[async_trait]
impl<S: TokenSource> TokenSource for Metered<S> {
    async fn changed(&self) {
        self.inner.changed().await;
    }

    async fn fetch(&self, held: Option<&Secret>) -> Result<Issued, FetchError> {
        let start = Instant::now();
        let result = self.inner.fetch(held).await;
        let reason = result.as_ref().err().map(|error| error.reason);
        if reason == Some(FetchFailure::LoginRequired) {
            // Nothing was asked of anybody.
            return result;
        }
        let reason = reason.map_or("", FetchFailure::as_str);
        self.users.fetched(reason, start.elapsed());
        result
    }
}
