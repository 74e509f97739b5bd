//! The credential of one service.

use std::sync::Arc;
use std::time::Duration;

use super::Signer;
use crate::oauth2::TokenStore;
use crate::oauth2::caller_tokens::CallerTokens;
use crate::refresh::AnyStore;

/// The credential of one service: the signer of its requests.
pub struct Credential(Box<dyn Signer>);

impl Credential {
    /// A credential that signs with `signer`.
    pub fn new(signer: Box<dyn Signer>) -> Self {
        Self(signer)
    }

    /// The signer of requests.
    pub fn signer(&self) -> &dyn Signer {
        &*self.0
    }

    /// Whether requests can be signed now.
    pub fn is_ready(&self) -> bool {
        self.0.status().is_ready
    }

    /// The number of seconds after which a caller should retry, at least 1.
    pub fn retry_after(&self) -> u64 {
        self.0.status().retry_after
    }

    /// Whether requests have the previous one of two secrets; `None` if there is only one.
    pub fn is_previous_in_use(&self) -> Option<bool> {
        self.0.status().is_previous_in_use
    }

    /// The store of the value that expires, for readiness and metrics.
    pub fn store(&self) -> Option<&dyn AnyStore> {
        self.0.store()
    }

    /// The store of each credential of a list whose value expires, with its place; of a single credential, its own.
    pub fn stores(&self) -> Vec<(usize, &dyn AnyStore)> {
        self.0.stores()
    }

    /// The same store if the value is a token.
    pub fn token_store(&self) -> Option<&Arc<TokenStore>> {
        self.0.token_store()
    }

    /// The tokens of callers, if each caller has one of its own.
    pub fn caller_tokens(&self) -> Option<&Arc<CallerTokens>> {
        self.0.caller_tokens()
    }

    /// Whether token requests are made for it.
    pub fn requests_tokens(&self) -> bool {
        self.store().is_some() || self.caller_tokens().is_some()
    }

    /// Waits for a token that is being obtained; returns at once for any other reason of not being ready.
    pub async fn wait_until_ready(&self, limit: Duration) {
        self.0.wait_until_ready(limit).await;
    }
}
