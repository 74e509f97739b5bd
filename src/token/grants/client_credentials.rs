//! `client_credentials` (RFC 6749 §4.4): the client asks for itself. A `refresh_token` in the answer is ignored (§4.4.3).

use std::sync::Arc;

use async_trait::async_trait;

use crate::token::endpoint::TokenEndpoint;
use crate::token::{FetchError, Issued, TokenSource};

/// The client-credentials grant at one endpoint.
pub struct ClientCredentials {
    endpoint: Arc<TokenEndpoint>,
}

impl ClientCredentials {
    /// Prepares the grant.
    pub fn new(endpoint: Arc<TokenEndpoint>) -> Self {
        Self { endpoint }
    }
}

#[async_trait]
impl TokenSource for ClientCredentials {
    async fn fetch(&self) -> Result<Issued, FetchError> {
        let mut fields = vec![("grant_type", "client_credentials")];
        let scope = self.endpoint.scope();
        if !scope.is_empty() {
            fields.push(("scope", scope));
        }
        self.endpoint.request(&fields).await
    }
}
