//! One file per grant, each a [`TokenSource`].

mod client_credentials;

use std::sync::Arc;

use super::endpoint::TokenEndpoint;
use super::{Metered, TokenSource};
use crate::config::Grant;
use crate::metrics::TokenUsers;

pub use client_credentials::ClientCredentials;

/// The source for a configured grant, measured for every service that shares its token.
pub fn source(endpoint: TokenEndpoint, users: TokenUsers) -> Arc<dyn TokenSource> {
    match endpoint.config().grant {
        Grant::ClientCredentials => Arc::new(Metered::new(ClientCredentials::new(endpoint), users)),
    }
}
