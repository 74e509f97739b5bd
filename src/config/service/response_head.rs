//! `max_response_head`: limits on the head of a response.

use crate::config::reader::size;
use crate::config::reader::size::SIZE;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;

/// The smallest limit on the size, in bytes.
const MIN_SIZE: u64 = 4096;
/// The largest one, which is that of Envoy.
const MAX_SIZE: u64 = 8 << 20;

/// The format of the key.
pub(crate) const FORMAT: Format = Format::Defined(&Definition {
    name: "max_response_head",
    description: "A size, or limits on size and number of fields.",
    format: Format::AnyOf(&[BYTES, SIZE, Format::Keys(&[KEYS])]),
});

const BYTES: Format = Format::Number(MIN_SIZE, MAX_SIZE);

const KEYS: Keys = &[
    Key::optional("size", Format::AnyOf(&[BYTES, SIZE]), "Limit on its size, from 4KiB to 8MiB.")
        .or("128KiB"),
    Key::optional("fields", Format::Number(16, 10_000), "Limit on the number of its fields.").or("1000"),
];

/// `max_response_head`: limits on the head of a response. The default is above the defaults of nginx (8 KiB) and
/// of Envoy (80 KiB and 100 fields).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeadLimits {
    /// Bytes of the head.
    pub size: usize,
    /// Number of fields in it.
    pub fields: usize,
}

impl Default for ResponseHeadLimits {
    fn default() -> Self {
        Self { size: 128 * 1024, fields: 1000 }
    }
}

impl ResponseHeadLimits {
    /// The size as HTTP/2 counts it: with 32 bytes for each field (RFC 9113 §6.5.2).
    pub fn list_size(self) -> u32 {
        u32::try_from(self.size + 32 * self.fields).unwrap_or(u32::MAX)
    }
}

/// Reads a size, or `{ size: 256KiB, fields: 2000 }`.
pub(crate) fn read(value: &Value<'_>) -> Option<ResponseHeadLimits> {
    let default = ResponseHeadLimits::default();
    if !value.is_map() {
        return Some(ResponseHeadLimits { size: head_size(value)?, ..default });
    }
    let mut mapping = value.mapping()?;
    let size = mapping.optional("size").and_then(|value| head_size(&value));
    let fields = mapping.optional("fields").and_then(|value| value.number());
    mapping.reject_unknown_keys();
    Some(ResponseHeadLimits {
        size: size.unwrap_or(default.size),
        fields: fields.and_then(|number| usize::try_from(number).ok()).unwrap_or(default.fields),
    })
}

fn head_size(value: &Value<'_>) -> Option<usize> {
    let bytes = size::read(value)?;
    if !(MIN_SIZE..=MAX_SIZE).contains(&bytes) {
        value.error("a size from 4KiB to 8MiB");
        return None;
    }
    usize::try_from(bytes).ok()
}
