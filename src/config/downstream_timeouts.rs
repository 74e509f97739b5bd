//! `downstream_timeouts`: time limits on callers' connections.

use std::time::Duration;

use super::reader::duration;
use super::reader::duration::DURATION;
use super::reader::mapping::Mapping;
use super::reader::table::{Key, Keys};

/// The keys of `downstream_timeouts`.
pub(super) const KEYS: Keys = &[
    Key::optional("first_byte", DURATION, "Limit from the start of a connection to its first byte.")
        .or("60s"),
    Key::optional("head", DURATION, "Limit from the first byte of a request's head to its end.").or("30s"),
    Key::optional("keep_alive", DURATION, "Time for which a connection may be idle between two requests.")
        .or("5m"),
];

/// `downstream_timeouts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownstreamTimeouts {
    /// From the start of a connection to its first byte. A client of a protocol in which the server speaks first sends none.
    pub first_byte: Duration,
    /// From the first byte of a head to its end.
    pub head: Duration,
    /// Between two requests of a connection.
    pub keep_alive: Duration,
}

impl Default for DownstreamTimeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(60),
            head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(300),
        }
    }
}

pub(super) fn read(mapping: &mut Mapping<'_>) -> DownstreamTimeouts {
    let default = DownstreamTimeouts::default();
    let Some(mut mapping) = mapping.optional("downstream_timeouts").and_then(|value| value.mapping()) else {
        return default;
    };
    let mut limit =
        |key, default| mapping.optional(key).and_then(|value| duration::positive(&value)).unwrap_or(default);
    let first_byte = limit("first_byte", default.first_byte);
    let head = limit("head", default.head);
    let keep_alive = limit("keep_alive", default.keep_alive);
    mapping.reject_unknown_keys();
    DownstreamTimeouts { first_byte, head, keep_alive }
}
