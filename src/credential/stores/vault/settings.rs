//! The settings of a connection to a store.

use std::time::Duration;

use super::login::Login;
use crate::config::CredentialServer;

/// The settings of a connection. Sources of equal ones share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct VaultSettings {
    pub(super) server: CredentialServer,
    /// The namespace of every request.
    pub(super) namespace: Option<String>,
    pub(super) login: Login,
    /// Limit on one request.
    pub(super) limit: Duration,
}
