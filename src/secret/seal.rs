//! The bytes of a state file: a header in clear text, and JSON encrypted with an AEAD (ChaCha20-Poly1305, RFC
//! 8439).
//!
//! ```text
//! magic "SIDEKEY-STATE\n" · version 1 · key id (8 bytes) · nonce (12 bytes) · ciphertext and tag
//! ```
//!
//! Keys are derived from the configured secret with HKDF-SHA256 (RFC 5869). The key id, derived beside the
//! key, distinguishes a file of another key from a damaged one. Header and identity are authenticated with
//! the content: a file under the name of another credential cannot be opened.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::secret::Secret;

const MAGIC: &[u8] = b"SIDEKEY-STATE\n";
const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;
/// Length of magic, version and key id.
const HEADER_LEN: usize = MAGIC.len() + 1 + KEY_ID_LEN;

/// Why a state file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The file is not a state file.
    #[error("it is not a state file of Sidekey")]
    Foreign,
    /// The file is that of a newer version.
    #[error("it was written by a newer version of Sidekey (its format is {0}, this one reads {VERSION})")]
    Newer(u8),
    /// The file is encrypted with another key.
    #[error("it was encrypted with another key: was `state.key` changed?")]
    OtherKey,
    /// The file is truncated, changed, or renamed from that of another credential.
    #[error("it is damaged, or belongs to another credential")]
    Damaged,
}

impl Unreadable {
    /// Whether another key or version of Sidekey can still read the file.
    pub fn is_recoverable(self) -> bool {
        matches!(self, Self::Newer(_) | Self::OtherKey)
    }
}

/// The keys that are derived from the configured secret.
pub(crate) struct Keys {
    sealing: LessSafeKey,
    id: [u8; KEY_ID_LEN],
    fingerprints: hmac::Key,
    random: SystemRandom,
}

impl Keys {
    /// Derives the keys.
    pub(crate) fn derive(secret: &Secret) -> Self {
        let root = Salt::new(HKDF_SHA256, b"sidekey state").extract(secret.expose().as_bytes());
        let mut id = [0; KEY_ID_LEN];
        expand(&root, b"key id 1", &mut id);
        let mut key = Zeroizing::new([0; 32]);
        expand(&root, b"aead 1", &mut *key);
        let sealing = UnboundKey::new(&CHACHA20_POLY1305, &*key).expect("the key has the algorithm's length");
        let mut fingerprint = Zeroizing::new([0; 32]);
        expand(&root, b"fingerprint 1", &mut *fingerprint);
        Self {
            sealing: LessSafeKey::new(sealing),
            id,
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, &*fingerprint),
            random: SystemRandom::new(),
        }
    }

    /// The key of fingerprints, which compare values that must not be stored.
    pub(crate) fn fingerprints(&self) -> &hmac::Key {
        &self.fingerprints
    }

    /// Encrypts a record. The nonce is random: a credential would have to be written for centuries to repeat
    /// one.
    pub(crate) fn seal(&self, identity: &[u8], content: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).expect("the system has random numbers");
        let mut file = [MAGIC, &[VERSION], &self.id].concat();
        let bound = Aad::from([&file, identity].concat());
        let mut sealed = Zeroizing::new(content.to_vec());
        let tag = self
            .sealing
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed)
            .expect("a state is shorter than 256 GiB");
        file.extend_from_slice(&nonce);
        file.extend_from_slice(&sealed);
        file.extend_from_slice(tag.as_ref());
        file
    }

    /// Decrypts what [`Keys::seal`] encrypted.
    pub(crate) fn open(&self, identity: &[u8], file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let Some(rest) = file.strip_prefix(MAGIC) else {
            // An empty file, or the beginning of a state file, was truncated.
            return Err(if MAGIC.starts_with(file) { Unreadable::Damaged } else { Unreadable::Foreign });
        };
        match rest.first() {
            None => return Err(Unreadable::Damaged),
            Some(&VERSION) => {}
            Some(&other) => return Err(Unreadable::Newer(other)),
        }
        let (header, rest) = file.split_at_checked(HEADER_LEN).ok_or(Unreadable::Damaged)?;
        if !header.ends_with(&self.id) {
            return Err(Unreadable::OtherKey);
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(Unreadable::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unreadable::Damaged)?;
        let mut content = Zeroizing::new(sealed.to_vec());
        let bound = Aad::from([header, identity].concat());
        let length =
            self.sealing.open_in_place(nonce, bound, &mut content).map_err(|_| Unreadable::Damaged)?.len();
        content.truncate(length);
        Ok(content)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(root: &Prk, purpose: &[u8], out: &mut [u8]) {
    let derived = root.expand(&[purpose], Length(out.len())).and_then(|okm| okm.fill(out));
    derived.expect("HKDF gives up to 8160 bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDENTITY: &[u8] = b"crm";

    fn keys(key: &str) -> Keys {
        Keys::derive(&Secret::new(key.into()).unwrap())
    }

    #[test]
    fn seal_opens_only_with_the_same_key_and_identity() {
        let (one, other) = (keys("one"), keys("other"));
        let file = one.seal(IDENTITY, b"{\"refresh_token\":\"CANARY\"}");
        assert_eq!(**one.open(IDENTITY, &file).unwrap(), *b"{\"refresh_token\":\"CANARY\"}");
        assert!(!String::from_utf8_lossy(&file).contains("CANARY"));
        assert_ne!(file, one.seal(IDENTITY, b"{\"refresh_token\":\"CANARY\"}"), "another nonce");

        assert_eq!(other.open(IDENTITY, &file).unwrap_err(), Unreadable::OtherKey);
        assert_eq!(one.open(b"erp", &file).unwrap_err(), Unreadable::Damaged);
        assert_eq!(one.open(IDENTITY, b"{\"refresh_token\":1}").unwrap_err(), Unreadable::Foreign);
        let mut newer = file.clone();
        newer[MAGIC.len()] = 2;
        assert_eq!(one.open(IDENTITY, &newer).unwrap_err(), Unreadable::Newer(2));
        for length in 0..file.len() {
            let cut = one.open(IDENTITY, &file[..length]).unwrap_err();
            assert!([Unreadable::Damaged, Unreadable::OtherKey].contains(&cut), "{length}: {cut:?}");
        }
    }

    proptest! {
        #[test]
        fn seal_detects_any_changed_bit(at in 0_usize..1000, bit in 0_u32..8) {
            let keys = keys("one");
            let mut file = keys.seal(IDENTITY, b"content");
            let at = at % file.len();
            file[at] ^= 1_u8 << bit;
            prop_assert!(keys.open(IDENTITY, &file).is_err());
        }

        #[test]
        fn seal_rejects_any_other_bytes(mut bytes: Vec<u8>, is_ours: bool) {
            if is_ours {
                bytes.splice(0..0, [MAGIC, &[VERSION]].concat());
            }
            prop_assert!(keys("one").open(IDENTITY, &bytes).is_err());
        }
    }
}
