//! One secret value, and the places it can be read from.
//!
//! A [`Secret`] cannot print itself: `Debug` shows `****`, there is no `Display`, and the memory is wiped when it
//! is dropped. The value comes out through [`Secret::expose`] alone, so that `grep 'expose()'` lists every place
//! in the program that touches one; a test holds those places to `credential/` and `token/`.

mod command;
mod command_cache;
mod signing_key;
mod source;

use std::fmt;
use std::hash::{Hash, Hasher};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use command::{Command, CommandError, CommandOutput};
pub use command_cache::{CommandCache, RefreshOutcome};
pub use signing_key::{Algorithm, KeyError, PublicKey, SigningError, SigningKey};
pub use source::{Source, SourceError};

/// A secret value: never empty, never with a control character in it (a newline in a secret is how one header
/// becomes two), so that everything built from it is a valid header value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value as a secret.
    pub fn new(value: String) -> Result<Self, InvalidSecret> {
        let value = Zeroizing::new(value);
        if value.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        match value.chars().position(char::is_control) {
            Some(at) => Err(InvalidSecret::Control { at: at + 1 }),
            None => Ok(Self(value)),
        }
    }

    /// Position, counted from 1, of the first character that is not allowed where the secret is to go. Lets
    /// `config` hold a secret to a rule without seeing it.
    pub fn first_disallowed(&self, allowed: fn(char) -> bool) -> Option<usize> {
        self.0.chars().position(|c| !allowed(c)).map(|at| at + 1)
    }

    /// Whether the value begins with a word that does not belong to it, upper or lower case.
    pub fn starts_with_ignore_case(&self, word: &str) -> bool {
        self.0.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    }

    /// How long the value is, in bytes.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// Whether it has fewer bytes than this.
    pub fn is_shorter_than(&self, bytes: usize) -> bool {
        self.0.len() < bytes
    }

    /// Whether there is white space at one end, which a header field would lose.
    pub fn has_outer_whitespace(&self) -> bool {
        self.0.trim().len() != self.0.len()
    }

    /// Whether a candidate is the value, in a time that does not depend on how much of it is right.
    pub fn ct_eq(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }

    /// The value itself. Only `credential/` and `token/` may call this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Hashed so that equal credentials can be found and share one token; the hash is never shown.
impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

/// Why a value cannot be a secret. Says where, never what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Nothing in it, once one trailing newline is dropped.
    #[error("the secret is empty")]
    Empty,
    /// A newline or another control character.
    #[error("the secret has a control character (such as a newline) at position {at}")]
    Control {
        /// Position of the character, counted from 1.
        at: usize,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn does_not_print_itself() {
        let secret = Secret::new("hunter2".into()).unwrap();
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("hunter2").count(), 0);
    }

    #[test]
    fn can_be_held_to_a_rule_unseen() {
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
    fn refuses_what_could_split_a_header() {
        assert_eq!(Secret::new("a\r\nX: y".into()), Err(InvalidSecret::Control { at: 2 }));
        assert_eq!(Secret::new("tail\n".into()), Err(InvalidSecret::Control { at: 5 }));
        assert_eq!(Secret::new("nul\0".into()), Err(InvalidSecret::Control { at: 4 }));
        assert_eq!(Secret::new(String::new()), Err(InvalidSecret::Empty));
    }
}
