//! The OAuth 2.0 client: one HTTP request to a token endpoint, authenticated, and its response classified.

pub(super) mod auth;
pub(super) mod discovery;
pub mod endpoint;
pub(super) mod http;
pub(super) mod redact;
pub(super) mod response;
