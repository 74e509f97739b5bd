//! A secret value.
//!
//! A [`Secret`] cannot be printed: `Debug` shows `****`, there is no `Display`, and the memory is wiped when
//! it is dropped. [`Secret::expose`] is the only access to the value, so that `grep 'expose()'` lists every
//! use; a test allows it in `credential/` and `oauth2/` only.

use std::fmt;
use std::hash::{Hash, Hasher};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::invisible::Character;

/// A secret value. It contains no control character, so that it is a valid header value: a newline would turn
/// one header into two. It is not empty, unless it was made by [`Secret::empty`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) Zeroizing<String>);

impl Secret {
    /// Makes a secret of a valid value.
    pub fn new(value: String) -> Result<Self, InvalidSecret> {
        let value = Zeroizing::new(value);
        if value.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        match Character::first(&value, char::is_control) {
            Some(found) => Err(InvalidSecret::Character(found)),
            None => Ok(Self(value)),
        }
    }

    /// The empty secret, for the places where a standard allows one.
    pub fn empty() -> Self {
        Self(Zeroizing::new(String::new()))
    }

    /// Position, counted from 1, of the first character that is not allowed. Lets `config` check a secret
    /// without access to the value.
    pub fn first_disallowed(&self, allowed: fn(char) -> bool) -> Option<usize> {
        self.0.chars().position(|c| !allowed(c)).map(|at| at + 1)
    }

    /// Whether the value starts with a word, in upper or lower case.
    pub fn starts_with_ignore_case(&self, word: &str) -> bool {
        self.0.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    }

    /// Length of the value, in bytes.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// Whether the value has fewer bytes.
    pub fn is_shorter_than(&self, bytes: usize) -> bool {
        self.0.len() < bytes
    }

    /// Whether the value starts or ends with white space, which is not part of a header field's value.
    pub fn has_outer_whitespace(&self) -> bool {
        self.0.trim().len() != self.0.len()
    }

    /// Compares a candidate with the value in constant time.
    pub fn ct_eq(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }

    /// The value. Only `credential/` and `oauth2/` may call this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// For finding equal credentials, which share one token. The hash is never shown.
impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

/// Why a value is not a valid secret. The text never contains the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// The value is empty, apart from one trailing newline.
    #[error("the secret is empty")]
    Empty,
    /// A newline or another control character, or an invisible character.
    #[error("the secret contains {0}")]
    Character(Character),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn secret_debug_is_masked() {
        let secret = Secret::new("hunter2".into()).unwrap();
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("hunter2").count(), 0);
    }

    #[test]
    fn secret_can_be_checked_without_exposure() {
        let secret = Secret::new("bearer aé ".into()).unwrap();
        assert_eq!(secret.first_disallowed(|c| c.is_ascii()), Some(9));
        assert_eq!(secret.first_disallowed(|_| true), None);
        assert!(
            secret.starts_with_ignore_case("Bearer ")
                && !secret.starts_with_ignore_case("bearer aé and more")
        );
        assert!(secret.has_outer_whitespace() && !Secret::new("a b".into()).unwrap().has_outer_whitespace());
    }

    #[test]
    fn secret_rejects_control_characters() {
        let found = |character, position| Err(InvalidSecret::Character(Character { character, position }));
        assert_eq!(Secret::new("a\r\nX: y".into()), found('\r', 2));
        assert_eq!(Secret::new("tail\n".into()), found('\n', 5));
        assert_eq!(Secret::new("nul\0".into()), found('\0', 4));
        assert_eq!(Secret::new(String::new()), Err(InvalidSecret::Empty));
    }
}
