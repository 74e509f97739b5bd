//! `protocol`: the version of HTTP that an upstream is spoken to in.

use crate::config::reader::value::Value;

/// `protocol`: the version of HTTP toward an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What came by HTTP/2 goes by HTTP/2 where the upstream's TLS agrees to it; everything else by HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
}

/// Reads one.
pub(crate) fn read(value: &Value<'_>) -> Option<Protocol> {
    value.one_of(&[("auto", Protocol::Auto), ("http1", Protocol::Http1), ("http2", Protocol::Http2)])
}
