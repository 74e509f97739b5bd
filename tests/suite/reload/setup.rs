//! Shared set-up of the reload tests.

use crate::harness::{MockUpstream, Sidekey};

/// A configuration that is reloaded only when a test requests it.
pub fn config(services: &str) -> String {
    format!("reload: {{ interval: 0s }}\n{}", Sidekey::configuration_serving(services))
}

/// A configuration whose files are watched continuously.
pub fn watched(services: &str) -> String {
    format!("reload: {{ interval: 20ms }}\n{}", Sidekey::configuration_serving(services))
}

/// The configuration of a service with a bearer token.
pub fn bearer(name: &str, upstream: &MockUpstream, token: &str) -> String {
    format!("{name}: {{ upstream: '{}', auth: {{ type: bearer, token: {token} }} }}\n", upstream.url())
}
