//! `protocol`: the version of HTTP that an upstream is spoken to in.

use crate::config::Protocol;
use crate::config::reader::value::Value;

/// Reads one.
pub(crate) fn read(value: &Value<'_>) -> Option<Protocol> {
    value.one_of(&[("auto", Protocol::Auto), ("http1", Protocol::Http1), ("http2", Protocol::Http2)])
}
