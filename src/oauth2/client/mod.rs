//! The OAuth 2.0 client: one HTTP request to a token endpoint, authenticated, and its response classified.

pub(super) mod auth;
pub(super) mod discovery;
pub mod endpoint;
pub(super) mod http;
mod lifetime;
pub(super) mod redact;
mod request;
pub(super) mod response;
