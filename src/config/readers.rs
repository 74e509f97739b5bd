//! What the configuration is handed from the floors above.

use super::auth::settings::AuthKinds;
use super::reader::value::SourceKinds;
use super::secret_stores::StoreKinds;

/// Everything that the configuration reads without knowing it: the kinds of credentials, the sources of
/// secrets, and their stores.
#[derive(Clone, Copy)]
pub struct Readers {
    /// The kinds of credentials.
    pub kinds: AuthKinds,
    /// The sources of secrets.
    pub sources: SourceKinds,
    /// The stores that secrets are read from.
    pub stores: StoreKinds,
}
