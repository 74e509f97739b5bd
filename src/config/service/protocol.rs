//! `protocol`: the HTTP version toward an upstream.

use crate::config::reader::table::Format;
use crate::config::reader::value::Value;

/// The format of `protocol`.
pub(crate) const PROTOCOL: Format = Format::Words(&PROTOCOLS);

const PROTOCOLS: [(&str, Protocol); 3] =
    [("auto", Protocol::Auto), ("http1", Protocol::Http1), ("http2", Protocol::Http2)];

/// `protocol`: the HTTP version toward an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 for requests that arrived by HTTP/2, if the upstream negotiates it in TLS; otherwise HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
}

/// Reads `protocol`.
pub(crate) fn read(value: &Value<'_>) -> Option<Protocol> {
    value.one_of(&PROTOCOLS)
}
