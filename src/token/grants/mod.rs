//! One file per grant, each a [`TokenSource`].

mod client_credentials;

use std::sync::Arc;

use super::endpoint::TokenEndpoint;
use super::{Metered, TokenSource};
use crate::config::Grant;
use crate::metrics::TokenMetrics;

pub use client_credentials::ClientCredentials;

/// The source for a configured grant, measured for every service that shares its token.
pub fn source(endpoint: TokenEndpoint, metrics: Vec<TokenMetrics>) -> Arc<dyn TokenSource> {
    match endpoint.config().grant {
        Grant::ClientCredentials => Arc::new(Metered::new(ClientCredentials::new(endpoint), metrics)),
    }
}
