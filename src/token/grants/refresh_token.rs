//! `refresh_token` (RFC 6749 §6): begins with a refresh token that was obtained elsewhere, and goes on with what the
//! endpoint gives in exchange.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::secret::Secret;
use crate::token::endpoint::TokenEndpoint;
use crate::token::{FetchError, Issued, TokenSource};

/// The refresh-token grant at one endpoint.
pub struct RefreshTokenGrant {
    endpoint: Arc<TokenEndpoint>,
    current: Mutex<Secret>,
}

impl RefreshTokenGrant {
    /// Prepares the grant; `seed` is the refresh token to begin with.
    pub fn new(endpoint: Arc<TokenEndpoint>, seed: Secret) -> Self {
        Self { endpoint, current: Mutex::new(seed) }
    }
}

#[async_trait]
impl TokenSource for RefreshTokenGrant {
    async fn fetch(&self) -> Result<Issued, FetchError> {
        let current = self.current.lock().clone();
        let scope = Some(self.endpoint.scope()).filter(|scope| !scope.is_empty());
        let issued = refresh(&self.endpoint, &current, scope).await?;
        if let Some(next) = &issued.refresh_token {
            self.current.lock().clone_from(next);
        }
        Ok(issued)
    }
}

/// One refresh. Without `scope` the token gets the scope that was granted at first.
pub(super) async fn refresh(
    endpoint: &TokenEndpoint,
    token: &Secret,
    scope: Option<&str>,
) -> Result<Issued, FetchError> {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
    fields.extend(scope.map(|scope| ("scope", scope)));
    endpoint.request(&fields).await
}
