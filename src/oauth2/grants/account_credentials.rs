//! `account_credentials`: the grant by which an app of Zoom gets a token for the account that it belongs to (Server-to-Server OAuth).
//! The client authenticates as with `client_credentials`, and names the account.

use async_trait::async_trait;

use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::SourceError;
use crate::secret::Secret;

/// The grant for one account.
pub struct AccountCredentials {
    endpoint: TokenEndpoint,
    account_id: String,
}

impl AccountCredentials {
    /// Prepares the grant for the account with this ID.
    pub fn new(endpoint: TokenEndpoint, account_id: String) -> Self {
        Self { endpoint, account_id }
    }
}

#[async_trait]
impl TokenSource for AccountCredentials {
    async fn request_token(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let fields = [("grant_type", "account_credentials"), ("account_id", &self.account_id)];
        let issued = self.endpoint.request(&fields).await?;
        Ok(TokenResponse { refresh_token: None, ..issued })
    }
}
