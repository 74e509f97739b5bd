//! The text that a source gave.

use std::hash::{Hash, Hasher};
use std::mem;

use zeroize::Zeroizing;

use super::invisible::Character;
use super::{InvalidSecret, Secret};

/// The text that a source gave: a secret, or a private key in PEM. It is wiped when it is dropped, and cannot be
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// A text as it stands.
    pub fn verbatim(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The content of a file, a variable or an output, less one newline at the end: editors and `echo` end a text
    /// with one that is not part of the secret. Uses the memory of `bytes`, so that no copy is left behind.
    pub fn of_content(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, NotText> {
        let mut text = match String::from_utf8(mem::take(&mut *bytes)) {
            Ok(text) => Zeroizing::new(text),
            Err(error) => {
                let bytes = Zeroizing::new(error.into_bytes());
                let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
                return Err(match bytes.as_slice() {
                    _ if is_utf16 => NotText::Utf16,
                    [0x30, 0x81 | 0x82, ..] => NotText::Der,
                    _ => NotText::Other,
                });
            }
        };
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(Self(text))
    }

    /// The secret that the text is. This is the one rule for secrets that an operator gives, from every source
    /// and for every kind: no control character, and no invisible one.
    pub fn into_secret(mut self) -> Result<Secret, InvalidSecret> {
        match Character::first_unseen(&self.0) {
            Some(found) => Err(InvalidSecret::Character(found)),
            None => Secret::new(mem::take(&mut *self.0)),
        }
    }

    /// The text. Only `credential/` and `oauth2/` may call this.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// For finding equal sources. The hash is never shown.
impl Hash for SecretText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

/// Why content is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotText {
    /// It begins as Windows saves "Unicode".
    #[error("not UTF-8 text; it begins with the byte order mark of UTF-16")]
    Utf16,
    /// It begins as keys and certificates in DER do.
    #[error(
        "not UTF-8 text; it begins as DER does: `openssl pkey -inform DER -in KEY -out NEW` converts a key to PEM"
    )]
    Der,
    /// It has bytes that are not UTF-8.
    #[error("not UTF-8 text")]
    Other,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn content(bytes: &[u8]) -> Result<String, String> {
        let text =
            SecretText::of_content(Zeroizing::new(bytes.to_vec())).map_err(|error| error.to_string())?;
        text.into_secret().map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn content_loses_one_newline_at_its_end() {
        assert_eq!(content(b"s3cret\n").unwrap(), "s3cret");
        assert_eq!(content(b"s3cret\r\n").unwrap(), "s3cret");
        assert_eq!(content(b" s3cret ").unwrap(), " s3cret ");
        assert_eq!(
            content(b"s3cret\n\n").unwrap_err(),
            "the secret contains the control character U+000A (newline) at position 7"
        );
        assert_eq!(content(b"\n").unwrap_err(), "the secret is empty");
        assert_eq!(content(b"").unwrap_err(), "the secret is empty");
    }

    #[test]
    fn content_with_invisible_characters_is_no_secret() {
        let said = |text: &str| content(text.as_bytes()).unwrap_err();
        assert_eq!(
            said("\u{feff}s3cret"),
            "the secret contains the invisible character U+FEFF (byte order mark) at position 1"
        );
        assert_eq!(
            said("s3c\u{200b}ret\n"),
            "the secret contains the invisible character U+200B (zero width space) at position 4"
        );
        assert_eq!(content(b"\xff\xfes\0").unwrap_err(), NotText::Utf16.to_string());
        assert_eq!(content(b"s3cr\xe9t").unwrap_err(), "not UTF-8 text");
        assert_eq!(content(b"\x30\x82\x04\xa4\x02").unwrap_err(), NotText::Der.to_string());
    }

    #[test]
    fn content_is_not_copied() {
        let bytes = Zeroizing::new(b"s3cret\n".to_vec());
        let address = bytes.as_ptr();
        let secret = SecretText::of_content(bytes).unwrap().into_secret().unwrap();
        assert_eq!(secret.expose().as_ptr(), address);
    }
}
