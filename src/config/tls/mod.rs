//! Sections about TLS toward servers, and the certificate files that they name.

pub(super) mod client;
pub(super) mod files;
pub(super) mod model;
