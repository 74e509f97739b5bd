//! Which value of a credential signed a request.

/// Which of a credential's successive values signed a request: tells a late rejection of an old one from one of the current.
/// Opaque to all but the signer that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialVersion(pub u64);

impl CredentialVersion {
    /// The version of a credential that never changes.
    pub const STATIC: Self = Self(0);
}
