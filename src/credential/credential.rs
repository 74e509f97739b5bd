//! The credential of one service.

use std::sync::Arc;
use std::time::Duration;

use super::Signer;
use crate::oauth2::TokenStore;

/// What signs the requests of one service.
pub struct Credential(Box<dyn Signer>);

impl Credential {
    /// A credential that signs with `signer`.
    pub fn new(signer: Box<dyn Signer>) -> Self {
        Self(signer)
    }

    /// What signs requests.
    pub fn signer(&self) -> &dyn Signer {
        &*self.0
    }

    /// Whether there is a usable credential right now.
    pub fn is_ready(&self) -> bool {
        self.0.status().is_ready
    }

    /// In how many seconds a caller should try again, at least 1.
    pub fn retry_after(&self) -> u64 {
        self.0.status().retry_after
    }

    /// Whether requests have the previous one of two secrets; `None` if there is only one.
    pub fn is_previous_in_use(&self) -> Option<bool> {
        self.0.status().is_previous_in_use
    }

    /// The token store, for readiness and metrics.
    pub fn store(&self) -> Option<&Arc<TokenStore>> {
        self.0.token_store()
    }

    /// Waits for the very first token; returns at once for any other reason of not being ready.
    pub async fn wait_for_first(&self, limit: Duration) {
        self.0.wait_for_first(limit).await;
    }
}
