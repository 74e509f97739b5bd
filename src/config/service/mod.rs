//! Sections of a service: its entry, the URL and options of its upstream.

mod aws_region;
pub(super) mod claimed;
pub(super) mod claims;
pub(super) mod defaults;
pub(super) mod entry;
pub(super) mod headers;
pub(super) mod labels;
pub(super) mod protocol;
pub(super) mod proxy;
pub(super) mod readiness;
mod refresh_on;
mod response_head;
pub(super) mod rules;
pub(super) mod timeouts;
pub(super) mod upstream;
pub(super) mod upstream_url;

pub use refresh_on::RefreshOn;
pub use response_head::ResponseHeadLimits;
