//! The version of a credential that signed a request.

use crate::config::MAX_CREDENTIALS;

/// The version of a credential that signed a request. It distinguishes a late rejection of an old value from
/// a rejection of the current one. Only the signer that returned it interprets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialVersion(u128);

/// The bits of one credential in the version of a list.
const PART_BITS: usize = 32;
const _: () =
    assert!(MAX_CREDENTIALS * PART_BITS <= u128::BITS as usize, "a version has room for a whole list");

impl CredentialVersion {
    /// The version of a credential that never changes.
    pub const STATIC: Self = Self(0);

    /// The version with this number, such as the generation of a token.
    pub const fn new(number: u64) -> Self {
        Self(number as u128)
    }

    /// The number that it was made of.
    #[expect(clippy::cast_possible_truncation, reason = "it was made of a u64")]
    pub const fn number(self) -> u64 {
        self.0 as u64
    }

    /// This version, with that of the credential at `index` of a list. Of the number, 32 bits are kept: the generation of a
    /// token is a count, which does not get there.
    #[must_use]
    pub(super) fn with_part(self, index: usize, part: Self) -> Self {
        debug_assert!(index < MAX_CREDENTIALS);
        Self(self.0 | u128::from(part.number() & u64::from(u32::MAX)) << (index * PART_BITS))
    }

    /// The version of the credential at `index` of a list.
    pub(super) fn part(self, index: usize) -> Self {
        Self(self.0 >> (index * PART_BITS) & u128::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_a_list_has_that_of_each_part() {
        let numbers = [7, u64::from(u32::MAX), 0, 9];
        let list = numbers.iter().enumerate().fold(CredentialVersion::STATIC, |list, (index, number)| {
            list.with_part(index, CredentialVersion::new(*number))
        });
        let parts: Vec<_> = (0..MAX_CREDENTIALS).map(|index| list.part(index).number()).collect();
        assert_eq!(parts, numbers);
    }
}
