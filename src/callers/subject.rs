//! The token that stands for a caller at a token endpoint: its own bearer token, and never a key of Sidekey's.

use httparse::Header;

use super::credential::{Presented, bearer};
use super::keys::hash;
use super::policy::CallerPolicy;
use super::refusal::Refusal;

impl CallerPolicy {
    /// The token that stands for the caller of an accepted request: the JWT by which the caller is known, or the bearer token in
    /// `Authorization` if the caller is known by something else.
    ///
    /// A key that a caller is known by is for Sidekey alone: it does not stand for the caller anywhere else.
    ///
    /// # Errors
    ///
    /// If there is more than one credential, or one that cannot be read.
    pub fn subject<'a>(
        &self,
        fields: &'a [Header<'a>],
        of_connect: Option<&'a [u8]>,
    ) -> Result<Option<Presented<'a>>, Refusal> {
        if let Some(presented) = self.presented(fields, of_connect)?
            && !self.is_key(presented.bytes())
        {
            return Ok(Some(presented));
        }
        Ok(subject(fields)?.filter(|presented| !self.is_key(presented.bytes())))
    }

    fn is_key(&self, presented: &[u8]) -> bool {
        self.keys.find(&hash(presented)).is_some()
    }
}

/// The token that stands for the caller of a request, in a configuration without callers: the bearer token in `Authorization`.
///
/// # Errors
///
/// If there is more than one field `Authorization`, or a token that cannot be read.
pub fn subject<'a>(fields: &'a [Header<'a>]) -> Result<Option<Presented<'a>>, Refusal> {
    bearer(fields)
}
