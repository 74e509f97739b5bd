//! The version of a credential that signed a request.

/// The version of a credential that signed a request. It distinguishes a late rejection of an old value from
/// a rejection of the current one. Only the signer that returned it interprets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialVersion(pub u64);

impl CredentialVersion {
    /// The version of a credential that never changes.
    pub const STATIC: Self = Self(0);
}
