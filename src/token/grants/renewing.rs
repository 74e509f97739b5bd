//! A refresh token in place of the grant that it came from (RFC 6749 §6), for as long as the endpoint takes it.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::refresh_token::refresh;
use crate::secret::Secret;
use crate::token::endpoint::TokenEndpoint;
use crate::token::{FetchError, Issued, TokenSource};

/// A grant that is asked for once, and again when its refresh token is refused.
pub struct Renewing<S> {
    endpoint: Arc<TokenEndpoint>,
    first: S,
    refresh_token: Mutex<Option<Secret>>,
}

impl<S> Renewing<S> {
    /// Wraps the grant.
    pub fn new(endpoint: Arc<TokenEndpoint>, first: S) -> Self {
        Self { endpoint, first, refresh_token: Mutex::default() }
    }
}

#[async_trait]
impl<S: TokenSource> TokenSource for Renewing<S> {
    async fn fetch(&self) -> Result<Issued, FetchError> {
        let held = self.refresh_token.lock().clone();
        if let Some(held) = held {
            match refresh(&self.endpoint, &held, None).await {
                Ok(mut issued) => {
                    // An answer without one leaves the old one in use (RFC 6749 §6).
                    issued.refresh_token.get_or_insert(held);
                    self.refresh_token.lock().clone_from(&issued.refresh_token);
                    return Ok(issued);
                }
                Err(error) if error.has_code("invalid_grant") => *self.refresh_token.lock() = None,
                Err(error) => return Err(error),
            }
        }
        let issued = self.first.fetch().await?;
        self.refresh_token.lock().clone_from(&issued.refresh_token);
        Ok(issued)
    }
}
