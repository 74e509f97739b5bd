//! `dpop`: tokens that are bound to a key (RFC 9449).

use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::secret::{Algorithm, SigningKey};

/// The keys of proof of possession.
pub(crate) const KEYS: Keys = &[
    Key::optional("dpop", Format::Bool, "Tokens are bound to a key and sent with a proof of it (RFC 9449).")
        .or("false"),
    Key::optional("dpop_key", SECRET, "That key, in PEM. Default: one that the process generates."),
];

/// `dpop`: proof of possession.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dpop {
    /// `dpop_key`; without it the process generates a key.
    pub key: Option<SigningKey>,
}

pub(crate) fn read(mapping: &mut Mapping<'_>) -> Option<Dpop> {
    let wanted = mapping.optional("dpop").as_ref().and_then(Value::boolean).unwrap_or_default();
    let value = mapping.optional("dpop_key");
    let key = value.as_ref().and_then(|value| secret::signing_key(value, None));
    if let Some(value) = value.filter(|_| !wanted) {
        value.error("this key has no effect without `dpop: true`");
    }
    debug_assert!(key.as_ref().is_none_or(|key| Algorithm::ASYMMETRIC.contains(&key.algorithm())));
    wanted.then_some(Dpop { key })
}
