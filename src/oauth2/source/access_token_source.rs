//! Makes access tokens of token responses, for the refresher.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::auth::placement::Placement;
use crate::oauth2::dpop_key::DpopKey;
use crate::oauth2::token::{AccessToken, TokenResponse};
use crate::refresh::{Cause, Risk, Sharing, Source, SourceError, SourceServer};

/// A source of access tokens, bound to a key if there is one.
pub(crate) struct AccessTokenSource<S> {
    inner: S,
    dpop_key: Option<Arc<DpopKey>>,
    placement: Placement,
    server: Arc<SourceServer>,
}

impl<S> AccessTokenSource<S> {
    /// Wraps a source of token responses. `dpop_key` is the key that they were requested with, `placement` where the tokens go,
    /// `server` the endpoint that they come from.
    pub(crate) fn new(
        inner: S,
        dpop_key: Option<Arc<DpopKey>>,
        placement: Placement,
        server: Arc<SourceServer>,
    ) -> Self {
        Self { inner, dpop_key, placement, server }
    }
}

#[async_trait]
impl<S: Source<TokenResponse>> Source<AccessToken> for AccessTokenSource<S> {
    async fn fetch(&self) -> Result<AccessToken, SourceError> {
        self.fetch_for(Cause::Due).await
    }

    async fn fetch_for(&self, cause: Cause) -> Result<AccessToken, SourceError> {
        let issued = self.inner.fetch_for(cause).await?.access?;
        AccessToken::new(&issued, self.dpop_key.as_ref(), &self.placement)
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }

    fn risk(&self) -> Option<Arc<Risk>> {
        self.inner.risk()
    }

    fn server(&self) -> Option<Arc<SourceServer>> {
        Some(self.server.clone())
    }

    fn sharing(&self) -> Option<Arc<Sharing>> {
        self.inner.sharing()
    }
}
