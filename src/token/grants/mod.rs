//! One file per grant, each a [`TokenSource`]; [`Renewing`] is a decorator around those that can be asked for once only,
//! or that should be.

mod client_credentials;
mod password;
mod refresh_token;
mod renewing;
mod token_exchange;

use std::sync::Arc;

use super::endpoint::TokenEndpoint;
use super::{Metered, TokenSource};
use crate::config::Grant;
use crate::metrics::TokenMetrics;

pub use client_credentials::ClientCredentials;
pub use password::PasswordGrant;
pub use refresh_token::RefreshTokenGrant;
pub use renewing::Renewing;
pub use token_exchange::ExchangeGrant;

/// The source for a configured grant, measured for every service that shares its token.
pub fn source(endpoint: Arc<TokenEndpoint>, metrics: Vec<TokenMetrics>) -> Arc<dyn TokenSource> {
    match endpoint.config().grant.clone() {
        Grant::ClientCredentials => Arc::new(Metered::new(ClientCredentials::new(endpoint), metrics)),
        Grant::Password(owner) => {
            let first = PasswordGrant::new(endpoint.clone(), owner);
            Arc::new(Metered::new(Renewing::new(endpoint, first), metrics))
        }
        Grant::RefreshToken(seed) => Arc::new(Metered::new(RefreshTokenGrant::new(endpoint, seed), metrics)),
        Grant::TokenExchange(exchange) => {
            Arc::new(Metered::new(ExchangeGrant::new(endpoint, exchange), metrics))
        }
    }
}
