//! `shutdown`: graceful shutdown.

use std::time::Duration;

use super::reader::duration;
use super::reader::duration::DURATION;
use super::reader::mapping::Mapping;
use super::reader::table::{Key, Keys};

/// The keys of `shutdown`.
pub(super) const KEYS: Keys = &[Key::optional(
    "drain",
    DURATION,
    "How long requests in flight may take to finish after SIGTERM; may be 0s.",
)
.or("10s")];

/// `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// Time that requests in flight have to finish after SIGTERM.
    pub drain: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain: Duration::from_secs(10) }
    }
}

pub(super) fn read(mapping: &mut Mapping<'_>) -> Shutdown {
    let default = Shutdown::default();
    let Some(mut mapping) = mapping.optional("shutdown").and_then(|value| value.mapping()) else {
        return default;
    };
    let drain = mapping.optional("drain").and_then(|value| duration::any(&value));
    mapping.reject_unknown_keys();
    Shutdown { drain: drain.unwrap_or(default.drain) }
}
