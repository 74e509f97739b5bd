//! `dpop`: tokens bound to a key (RFC 9449).

use crate::config::reader::mapping::Table;
use crate::config::reader::value::Item;
use crate::config::secret;
use crate::secret::{Algorithm, SigningKey};

/// Proof of possession.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dpop {
    /// `dpop_key`; without one the process makes a key of its own.
    pub key: Option<SigningKey>,
}

pub(crate) fn read(table: &mut Table<'_>) -> Option<Dpop> {
    let wanted = table.optional("dpop").as_ref().and_then(Item::boolean).unwrap_or_default();
    let item = table.optional("dpop_key");
    let key = item.as_ref().and_then(|item| secret::signing_key(item, None));
    if let Some(item) = item.filter(|_| !wanted) {
        item.mistake("there is no use for this key without `dpop: true`");
    }
    debug_assert!(key.as_ref().is_none_or(|key| Algorithm::ASYMMETRIC.contains(&key.algorithm())));
    wanted.then_some(Dpop { key })
}
