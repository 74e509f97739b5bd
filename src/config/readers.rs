//! What the configuration is handed from the floors above.

use super::auth::settings::AuthKinds;
use super::reader::value::SourceKinds;

/// Everything that the configuration reads without knowing it: the kinds of credentials, and the sources of
/// secrets.
#[derive(Clone, Copy)]
pub struct Readers {
    /// The kinds of credentials.
    pub kinds: AuthKinds,
    /// The sources of secrets.
    pub sources: SourceKinds,
}
