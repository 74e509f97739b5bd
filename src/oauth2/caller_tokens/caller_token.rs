//! A token that was requested with the token of a caller.

use std::ops::Deref;

use crate::oauth2::token::AccessToken;
use crate::refresh::Expiry;

/// A token that was requested with the token of a caller.
pub struct CallerToken {
    token: AccessToken,
    /// The number of the token among all of the cache.
    pub generation: u64,
    /// When the token of the caller ends, if that is known.
    subject_end: Option<Expiry>,
    /// When it is renewed.
    pub(super) renewal: Expiry,
}

impl Deref for CallerToken {
    type Target = AccessToken;

    fn deref(&self) -> &AccessToken {
        &self.token
    }
}

impl CallerToken {
    /// A token that was issued for a subject.
    pub(super) fn new(
        token: AccessToken,
        generation: u64,
        subject_end: Option<Expiry>,
        renewal: Expiry,
    ) -> Self {
        Self { token, generation, subject_end, renewal }
    }

    /// Whether it may still be sent.
    pub(super) fn is_usable(&self) -> bool {
        !self.token.expiry.is_past() && self.subject_end.is_none_or(|end| !end.is_past())
    }
}
