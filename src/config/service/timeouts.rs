//! `timeouts`: time limits toward an upstream.

use std::time::Duration;

use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Definition, Format, Key, Keys};

/// The format of `timeouts`.
pub(super) const TIMEOUTS: Format = Format::Defined(&Definition {
    name: "timeouts",
    description: "Limits on waiting for the upstream.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[
    Key::optional("connect", DURATION, "Name lookup, TCP and TLS handshake together.").or("5s"),
    Key::optional("first_byte", DURATION, "From the end of the request to the first byte of the response.")
        .or("60s"),
    Key::optional("idle", DURATION, "Between two reads or writes of a body.").or("60s"),
    Key::optional("total", DURATION, "The whole request; no limit by default."),
    Key::optional(
        "tunnel_idle",
        DURATION,
        "Between two pieces of data in either direction, after the switch to WebSocket; no limit by default.",
    ),
];

/// `timeouts`: time limits toward an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Limit for the TCP and TLS handshakes together.
    pub connect: Duration,
    /// Limit from the end of the request to the first byte of the response.
    pub first_byte: Duration,
    /// Limit between two reads or writes of a body.
    pub idle: Duration,
    /// Limit for the whole request, if any.
    pub total: Option<Duration>,
    /// Limit between two reads or writes after the switch to WebSocket, if any.
    pub tunnel_idle: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: None,
            tunnel_idle: None,
        }
    }
}

/// Reads `timeouts` of a service.
pub(crate) fn read(mapping: &mut Mapping<'_>) -> Timeouts {
    let default = Timeouts::default();
    let Some(mut mapping) = mapping.optional("timeouts").and_then(|value| value.mapping()) else {
        return default;
    };
    let mut limit = |key| mapping.optional(key).and_then(|value| duration::positive(&value));
    let timeouts = Timeouts {
        connect: limit("connect").unwrap_or(default.connect),
        first_byte: limit("first_byte").unwrap_or(default.first_byte),
        idle: limit("idle").unwrap_or(default.idle),
        total: limit("total"),
        tunnel_idle: limit("tunnel_idle"),
    };
    mapping.reject_unknown_keys();
    timeouts
}
