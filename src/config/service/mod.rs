//! Sections about one service: its entry, its upstream's URL and options, its hosts.

pub(super) mod entry;
pub(super) mod host;
pub(super) mod hosts;
pub(super) mod protocol;
pub(super) mod upstream;
pub(super) mod upstream_url;
