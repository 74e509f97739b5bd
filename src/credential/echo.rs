//! A secret that an upstream repeats in the head of its response, in any field and in the usual encodings.

use std::fmt;

use form_urlencoded::byte_serialize;
use memchr::memmem;
use zeroize::Zeroizing;

/// A value of fewer bytes is not looked for: it may be a part of anything.
const MIN_LENGTH: usize = 8;
/// What stands in place of a secret.
const REDACTED: &[u8] = b"****";

/// The forms of secrets that no response may repeat.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Echoes(Box<[Zeroizing<Vec<u8>>]>);

/// Without the forms, which are the secret.
impl fmt::Debug for Echoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Echoes({})", self.0.len())
    }
}

impl Echoes {
    /// The forms of these secrets: as they are, as in a form, and with every byte but letters and digits encoded.
    pub(super) fn of<'s>(secrets: impl Iterator<Item = &'s str>) -> Self {
        let mut forms: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= MIN_LENGTH) {
            let form: String = byte_serialize(secret.as_bytes()).collect();
            let [upper, lower] =
                [b"0123456789ABCDEF", b"0123456789abcdef"].map(|digits| encoded(secret, digits));
            for text in [upper, lower, form, secret.to_owned()] {
                let text = Zeroizing::new(text.into_bytes());
                if !forms.contains(&text) {
                    forms.push(text);
                }
            }
        }
        Self(forms.into())
    }

    /// Replaces the secrets in a text; returns how many there were.
    pub fn redact(&self, text: &mut Vec<u8>) -> u64 {
        let mut count = 0;
        for form in &self.0 {
            while let Some(at) = memmem::find(text, form) {
                text.splice(at..at + form.len(), REDACTED.iter().copied());
                count += 1;
            }
        }
        count
    }
}

/// The text with every byte but letters and digits as `%XX`.
fn encoded(text: &str, digits: &[u8; 16]) -> String {
    let mut encoded = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(|digit| char::from(digits[usize::from(digit)])));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_redacted_in_every_form() {
        let echoes = Echoes::of(["S3cret/k+y=1", "short"].into_iter());
        let mut text = b"X: S3cret/k+y=1, S3cret%2Fk%2By%3D1, S3cret%2fk%2by%3d1, short\r\n".to_vec();
        assert_eq!(echoes.redact(&mut text), 3);
        assert_eq!(text, b"X: ****, ****, ****, short\r\n");
        assert_eq!(Echoes::default().redact(&mut text), 0);
        assert!(!format!("{echoes:?}").contains("S3cret"));
    }
}
