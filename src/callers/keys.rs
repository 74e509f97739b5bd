//! The hashes of callers' keys.

use ring::digest::{SHA256, digest};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::secret::hex;

/// The SHA-256 of a credential.
pub(super) type Hash = [u8; 32];

/// The SHA-256 of a credential.
pub(super) fn hash(credential: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, credential).as_ref());
    hash
}

/// The SHA-256 of a key, as the configuration has it.
pub fn key_hash_text(key: &[u8]) -> String {
    hex(&hash(key))
}

/// The hashes of all keys, each with the index of its caller.
#[derive(Default)]
pub(super) struct Keys(Box<[(Hash, u32)]>);

impl Keys {
    pub(super) fn new(keys: impl Iterator<Item = (Hash, u32)>) -> Self {
        Self(keys.collect())
    }

    /// The caller of a key. Every hash is compared to its end, so that the time says nothing of any of them.
    pub(super) fn find(&self, presented: &Hash) -> Option<usize> {
        let mut found = u32::MAX;
        for (hash, caller) in &self.0 {
            found.conditional_assign(caller, hash.ct_eq(presented));
        }
        (found != u32::MAX).then_some(found as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_found_by_its_whole_hash() {
        let (first, second) = (hash(b"first"), hash(b"second"));
        let keys = Keys::new([(first, 0), (second, 7)].into_iter());
        assert_eq!((keys.find(&first), keys.find(&second)), (Some(0), Some(7)));
        let mut near = first;
        near[31] ^= 1;
        assert_eq!(keys.find(&near), None);
        assert_eq!(Keys::default().find(&first), None);
    }
}
