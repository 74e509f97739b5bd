//! How a shared key is written in the configuration.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::table::{Format, Key};
use crate::config::reader::value::Value;
use crate::secret::Secret;

/// How a shared key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KeyEncoding {
    Utf8,
    Hex,
    Base64,
}

const KEY_ENCODINGS: [(&str, KeyEncoding); 3] =
    [("utf8", KeyEncoding::Utf8), ("hex", KeyEncoding::Hex), ("base64", KeyEncoding::Base64)];

impl KeyEncoding {
    /// The key `key_encoding`.
    pub(super) const KEY: Key =
        Key::optional("key_encoding", Format::Words(&KEY_ENCODINGS), "How the key is written.").or("utf8");

    /// Reads [`KEY`](Self::KEY).
    pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Self> {
        mapping.optional("key_encoding").map_or(Some(Self::Utf8), |value| value.one_of(&KEY_ENCODINGS))
    }

    /// Reads a key, and checks that it can be decoded.
    pub(super) fn key(self, value: &Value<'_>) -> Option<Secret> {
        let key = secret::read(value)?;
        if self.decode(&key).is_none() {
            value.error(match self {
                Self::Hex => "the key is not hexadecimal, as `key_encoding` says",
                _ => "the key is not Base64, as `key_encoding` says",
            });
            return None;
        }
        Some(key)
    }

    /// The bytes of a key; `None` if it is not written so.
    pub(super) fn decode(self, key: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let text = key.expose();
        let bytes = match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Base64 => STANDARD.decode(text).ok()?,
            Self::Hex => {
                let nibbles: Option<Zeroizing<Vec<u8>>> = text
                    .chars()
                    .map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok()))
                    .collect::<Option<Vec<_>>>()
                    .map(Zeroizing::new);
                let nibbles = nibbles.filter(|nibbles| nibbles.len() % 2 == 0)?;
                nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
            }
        };
        Some(Zeroizing::new(bytes))
    }
}
