//! Counts and times token requests: a decorator, so that no grant knows that it is measured.

use std::time::Instant;

use async_trait::async_trait;

use super::{FetchError, Issued, TokenSource};
use crate::metrics::TokenUsers;

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
    async fn fetch(&self) -> Result<Issued, FetchError> {
        let start = Instant::now();
        let result = self.inner.fetch().await;
        let reason = result.as_ref().err().map_or("", |error| error.reason.as_str());
        self.users.fetched(reason, start.elapsed());
        result
    }
}
