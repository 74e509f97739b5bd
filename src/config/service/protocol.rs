//! `protocol`: the version of HTTP that an upstream is spoken to in.

use crate::config::Protocol;
use crate::config::reader::value::Item;

/// Reads one.
pub(crate) fn read(item: &Item<'_>) -> Option<Protocol> {
    item.choice(&[("auto", Protocol::Auto), ("http1", Protocol::Http1), ("http2", Protocol::Http2)])
}
