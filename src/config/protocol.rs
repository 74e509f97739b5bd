//! `protocol`: the version of HTTP that an upstream is spoken to in.

use super::Protocol;
use super::item::Item;

/// Reads one.
pub(super) fn read(item: &Item<'_>) -> Option<Protocol> {
    item.choice(&[("auto", Protocol::Auto), ("http1", Protocol::Http1), ("http2", Protocol::Http2)])
}
