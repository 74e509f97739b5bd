//! `password` (RFC 6749 §4.3): the resource owner's name and password. For machine accounts of providers that know no
//! other way; where the answer has a refresh token, the password stays at home until that one is refused.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Password;
use crate::token::endpoint::TokenEndpoint;
use crate::token::{FetchError, Issued, TokenSource};

/// The password grant at one endpoint.
pub struct PasswordGrant {
    endpoint: Arc<TokenEndpoint>,
    owner: Password,
}

impl PasswordGrant {
    /// Prepares the grant.
    pub fn new(endpoint: Arc<TokenEndpoint>, owner: Password) -> Self {
        Self { endpoint, owner }
    }
}

#[async_trait]
impl TokenSource for PasswordGrant {
    async fn fetch(&self) -> Result<Issued, FetchError> {
        let scope = self.endpoint.scope();
        let mut fields = vec![
            ("grant_type", "password"),
            ("username", &self.owner.username),
            ("password", self.owner.password.expose()),
        ];
        if !scope.is_empty() {
            fields.push(("scope", scope));
        }
        self.endpoint.request(&fields).await
    }
}
