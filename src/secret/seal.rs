//! What leaves the process and must not be read: a header in clear text, and content encrypted with an AEAD
//! (ChaCha20-Poly1305, RFC 8439). State files are such bytes, and records of a shared store.
//!
//! ```text
//! magic "SIDEKEY-STATE\n" or "SIDEKEY-FLEET\n" · version 1 · key id (8 bytes) · nonce (12 bytes) · ciphertext and tag
//! ```
//!
//! Keys are derived from the configured secret with HKDF-SHA256 (RFC 5869). The key id, derived beside the
//! key, distinguishes bytes of another key from damaged ones. Header and identity are authenticated with the
//! content: what stands under the name of another credential cannot be opened. Keys of one purpose do not open
//! what is sealed for the other, even if the secret is the same.

use std::hash::{Hash, Hasher};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::hex::hex;
use super::secret::Secret;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;

/// What bytes are sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealPurpose {
    /// State files.
    State,
    /// Records of the shared store of a fleet.
    Fleet,
}

impl SealPurpose {
    /// What sealed bytes begin with.
    fn magic(self) -> &'static [u8] {
        match self {
            Self::State => b"SIDEKEY-STATE\n",
            Self::Fleet => b"SIDEKEY-FLEET\n",
        }
    }

    /// What keys are derived with.
    fn salt(self) -> &'static [u8] {
        match self {
            Self::State => b"sidekey state",
            Self::Fleet => b"sidekey fleet",
        }
    }
}

/// Why sealed bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes are not sealed by Sidekey for this purpose.
    #[error("it is not of Sidekey")]
    Foreign,
    /// The bytes are those of a newer version.
    #[error("it was written by a newer version of Sidekey (its format is {0}, this one reads {VERSION})")]
    Newer(u8),
    /// The bytes are encrypted with another key.
    #[error("it was encrypted with another key: was `state.key` or `shared.key` changed?")]
    OtherKey,
    /// The bytes are truncated, changed, or those of another credential.
    #[error("it is damaged, or belongs to another credential")]
    Damaged,
}

impl Unreadable {
    /// Whether another key or version of Sidekey can still read them.
    pub fn is_recoverable(self) -> bool {
        matches!(self, Self::Newer(_) | Self::OtherKey)
    }
}

/// The keys that are derived from a configured secret.
pub struct SealingKeys {
    purpose: SealPurpose,
    sealing: LessSafeKey,
    id: [u8; KEY_ID_LEN],
    fingerprints: hmac::Key,
    random: SystemRandom,
}

impl SealingKeys {
    /// Derives the keys.
    ///
    /// # Panics
    ///
    /// Never: the keys have the length of their algorithm.
    pub fn derive(purpose: SealPurpose, secret: &Secret) -> Self {
        let root = Salt::new(HKDF_SHA256, purpose.salt()).extract(secret.0.as_bytes());
        let mut id = [0; KEY_ID_LEN];
        expand(&root, b"key id 1", &mut id);
        let mut key = Zeroizing::new([0; 32]);
        expand(&root, b"aead 1", &mut *key);
        let sealing = UnboundKey::new(&CHACHA20_POLY1305, &*key).expect("the key has the algorithm's length");
        let mut fingerprint = Zeroizing::new([0; 32]);
        expand(&root, b"fingerprint 1", &mut *fingerprint);
        Self {
            purpose,
            sealing: LessSafeKey::new(sealing),
            id,
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, &*fingerprint),
            random: SystemRandom::new(),
        }
    }

    /// A keyed hash, to compare a value with an earlier one, or to name it, without storing it: it may have secrets.
    pub fn fingerprint(&self, what: &impl Hash) -> String {
        struct Keyed(hmac::Context);
        impl Hasher for Keyed {
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            fn finish(&self) -> u64 {
                0
            }
        }
        let mut hasher = Keyed(hmac::Context::with_key(&self.fingerprints));
        what.hash(&mut hasher);
        hex(hasher.0.sign().as_ref())
    }

    /// Encrypts content. The nonce is random: a credential would have to be written for centuries to repeat
    /// one.
    ///
    /// # Panics
    ///
    /// If the system has no random numbers, or the content is longer than 256 GiB.
    pub fn seal(&self, identity: &[u8], content: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).expect("the system has random numbers");
        let mut file = [self.purpose.magic(), &[VERSION], &self.id].concat();
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

    /// Decrypts what [`SealingKeys::seal`] encrypted.
    pub fn open(&self, identity: &[u8], file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let magic = self.purpose.magic();
        let Some(rest) = file.strip_prefix(magic) else {
            // An empty file, or the beginning of a sealed one, was truncated.
            return Err(if magic.starts_with(file) { Unreadable::Damaged } else { Unreadable::Foreign });
        };
        match rest.first() {
            None => return Err(Unreadable::Damaged),
            Some(&VERSION) => {}
            Some(&other) => return Err(Unreadable::Newer(other)),
        }
        let (header, rest) =
            file.split_at_checked(magic.len() + 1 + KEY_ID_LEN).ok_or(Unreadable::Damaged)?;
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

    fn keys(key: &str) -> SealingKeys {
        SealingKeys::derive(SealPurpose::State, &Secret::new(key.into()).unwrap())
    }

    #[test]
    fn keys_of_one_purpose_open_nothing_of_another() {
        let secret = Secret::new("one".into()).unwrap();
        let fleet = SealingKeys::derive(SealPurpose::Fleet, &secret);
        let file = keys("one").seal(IDENTITY, b"content");
        assert_eq!(fleet.open(IDENTITY, &file).unwrap_err(), Unreadable::Foreign);
        let mut renamed = file.clone();
        renamed.splice(..SealPurpose::State.magic().len(), SealPurpose::Fleet.magic().iter().copied());
        assert_eq!(fleet.open(IDENTITY, &renamed).unwrap_err(), Unreadable::OtherKey);
        assert_ne!(fleet.fingerprint(&"a"), keys("one").fingerprint(&"a"));
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
        newer[SealPurpose::State.magic().len()] = 2;
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
                bytes.splice(0..0, [SealPurpose::State.magic(), &[VERSION]].concat());
            }
            prop_assert!(keys("one").open(IDENTITY, &bytes).is_err());
        }
    }
}
