//! `tls` toward servers, and its certificate files.

pub(super) mod client;
pub(super) mod files;
pub(super) mod model;
