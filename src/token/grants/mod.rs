//! One file per grant, each a [`TokenSource`]; [`Renewing`] is a decorator around those that can be asked for once only,
//! or that should be.

mod client_credentials;
mod password;
mod refresh_token;
mod renewing;
mod token_exchange;

use std::sync::Arc;

use super::chain::Chains;
use super::endpoint::TokenEndpoint;
use super::{Metered, TokenSource};
use crate::config::Grant;
use crate::metrics::TokenMetrics;

pub use client_credentials::ClientCredentials;
pub use password::PasswordGrant;
pub use refresh_token::RefreshTokenGrant;
pub use renewing::Renewing;
pub use token_exchange::ExchangeGrant;

/// The source for a configured grant: measured for every service that shares its token, and going on with the refresh tokens
/// of its chain. `name` says in the log whose it is.
pub fn source(
    endpoint: Arc<TokenEndpoint>,
    name: &str,
    chains: &Chains,
    metrics: Vec<TokenMetrics>,
) -> Arc<dyn TokenSource> {
    let config = endpoint.config().clone();
    let grant: Arc<dyn TokenSource> = match config.grant.clone() {
        Grant::ClientCredentials => Arc::new(ClientCredentials::new(endpoint)),
        Grant::Password(owner) => {
            Arc::new(Renewing::new(endpoint.clone(), PasswordGrant::new(endpoint, owner)))
        }
        Grant::RefreshToken(seed) => Arc::new(RefreshTokenGrant::new(endpoint, seed)),
        Grant::TokenExchange(exchange) => Arc::new(ExchangeGrant::new(endpoint, exchange)),
    };
    Arc::new(chains.wrap(name.to_owned(), &config, Metered::new(grant, metrics.clone()), metrics))
}
