//! One file per grant, each a [`TokenSource`].

mod client_credentials;

use std::sync::Arc;

use super::chain::Chains;
use super::endpoint::TokenEndpoint;
use super::{Metered, TokenSource};
use crate::config::Grant;
use crate::metrics::TokenMetrics;

pub use client_credentials::ClientCredentials;

/// The source for a configured grant: measured for every service that shares its token, and going on with the refresh tokens
/// of its chain. `name` says in the log whose it is.
pub fn source(
    endpoint: TokenEndpoint,
    name: &str,
    chains: &Chains,
    metrics: Vec<TokenMetrics>,
) -> Arc<dyn TokenSource> {
    let config = endpoint.config().clone();
    let grant: Arc<dyn TokenSource> = match config.grant {
        Grant::ClientCredentials => Arc::new(ClientCredentials::new(endpoint)),
    };
    Arc::new(chains.wrap(name.to_owned(), &config, Metered::new(grant, metrics.clone()), metrics))
}
