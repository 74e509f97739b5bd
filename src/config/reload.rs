//! `reload`: how often files are checked for changes.

use std::time::Duration;

use super::reader::duration;
use super::reader::duration::DURATION;
use super::reader::table::{Key, Keys};
use super::reader::value::Value;

/// The keys of `reload`.
pub(super) const KEYS: Keys = &[Key::optional(
    "interval",
    DURATION,
    "How often this file and the files that it names are checked for changes; 0s: never.",
)
.or("5s")];

/// `reload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// Time between two checks of the files; `None` turns them off.
    pub interval: Option<Duration>,
}

impl Default for Reload {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(5)) }
    }
}

pub(super) fn read(value: &Value<'_>) -> Reload {
    let default = Reload::default();
    let Some(mut mapping) = value.mapping() else { return default };
    let interval = mapping.optional("interval").and_then(|value| duration::any(&value));
    mapping.reject_unknown_keys();
    Reload {
        interval: interval
            .map_or(default.interval, |interval| Some(interval).filter(|limit| *limit > Duration::ZERO)),
    }
}
